// The questions of bench/, asked of Go: goroutines, with GOMAXPROCS=1 as set by
// bench/run. Called and printed as bench/bench.h says.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	children   = 100
	timers     = 1000000
	timersTurn = 100
)

func isQuick() bool {
	quick := os.Getenv("BENCH_QUICK")
	return quick != "" && quick != "0"
}

func report(question, variant string, median float64, unit string, best float64) {
	fmt.Printf("%s %s %.2f %s %.2f\n", question, variant, median, unit, best)
}

func median(samples []float64) float64 {
	sort.Float64s(samples)
	n := len(samples)
	if n%2 == 1 {
		return samples[n/2]
	}
	return (samples[n/2-1] + samples[n/2]) / 2
}

// measure reports the nanoseconds per thing; fn does it so many times and returns how long that took.
func measure(question, variant string, each float64, fn func(times int) time.Duration) {
	enough, repetitions := 20*time.Millisecond, 5
	if isQuick() {
		enough, repetitions = 4*time.Millisecond, 3
	}
	times := 1
	for fn(times) < enough {
		times *= 2
	}
	samples := make([]float64, repetitions)
	for i := range samples {
		samples[i] = float64(fn(times).Nanoseconds()) / (float64(times) * each)
	}
	m := median(samples)
	report(question, variant, m, "ns", samples[0])
}

// ---- switch ----

func questionSwitch(variant string) {
	n, _ := strconv.Atoi(variant)
	measure("switch", variant, float64(n), func(times int) time.Duration {
		took := make(chan time.Duration)
		done := make(chan struct{}, n)
		go func() {
			runtime.Gosched()
			runtime.Gosched()
			began := time.Now()
			for i := 0; i < times; i++ {
				runtime.Gosched()
			}
			took <- time.Since(began)
		}()
		for j := 1; j < n; j++ {
			go func() {
				for i := 0; i < times+4; i++ {
					runtime.Gosched()
				}
				done <- struct{}{}
			}()
		}
		result := <-took
		for j := 1; j < n; j++ {
			<-done
		}
		return result
	})
}

// ---- spawn, gather ----

func questionSpawn(variant string) {
	measure("spawn", variant, 1, func(times int) time.Duration {
		result := make(chan int)
		sum := 0
		began := time.Now()
		for i := 0; i < times; i++ {
			go func(value int) { result <- value + 1 }(i)
			sum += <-result
		}
		took := time.Since(began)
		if sum != times*(times+1)/2 {
			panic("a result was lost")
		}
		return took
	})
}

// A channel that counts is what a WaitGroup would be; each child has its place in the results.
func questionGather(variant string) {
	yields := variant == "yield"
	measure("gather", variant, children, func(times int) time.Duration {
		var results [children]int
		done := make(chan struct{}, children)
		began := time.Now()
		for i := 0; i < times; i++ {
			for j := 0; j < children; j++ {
				go func(j, value int) {
					if yields {
						runtime.Gosched()
					}
					results[j] = value + 1
					done <- struct{}{}
				}(j, i)
			}
			for j := 0; j < children; j++ {
				<-done
			}
			if results[children-1] != i+1 {
				panic("a result was lost")
			}
		}
		return time.Since(began)
	})
}

// ---- timer ----

var randomState uint64 = 1

func random() uint64 {
	randomState += 0x9e3779b97f4a7c15
	z := randomState
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func delay() time.Duration {
	return time.Duration(1000000+random()%1000000) * time.Millisecond
}

func never() { panic("a timer fired") }

func questionTimer(variant string, all []*time.Timer) {
	switch variant {
	case "pair":
		measure("timer", variant, 1, func(times int) time.Duration {
			began := time.Now()
			for i := 0; i < times; i++ {
				time.AfterFunc(delay(), never).Stop()
				if i%timersTurn == 0 {
					runtime.Gosched()
				}
			}
			return time.Since(began)
		})
	case "replace":
		measure("timer", variant, 1, func(times int) time.Duration {
			began := time.Now()
			for i := 0; i < times; i++ {
				j := random() % timers
				all[j].Stop()
				all[j] = time.AfterFunc(delay(), never)
				if i%timersTurn == 0 {
					runtime.Gosched()
				}
			}
			return time.Since(began)
		})
	case "sleep":
		// A sleep that can be cancelled is a select between a timer and a channel.
		cancel := make(chan struct{})
		back := make(chan struct{})
		go func() {
			for {
				timer := time.NewTimer(delay())
				select {
				case <-timer.C:
					never()
				case <-cancel:
					timer.Stop()
				}
				back <- struct{}{}
			}
		}()
		measure("timer", variant, 1, func(times int) time.Duration {
			began := time.Now()
			for i := 0; i < times; i++ {
				cancel <- struct{}{}
				<-back
			}
			return time.Since(began)
		})
	}
}

// ---- memory ----

// The number after key, which is in KiB, in bytes; -1 if it is not there.
func readKib(path, key string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key) {
			kib, _ := strconv.ParseInt(strings.Fields(line)[1], 10, 64)
			return kib * 1024
		}
	}
	return -1
}

func memoryBytes() int64 {
	resident := readKib("/proc/self/smaps_rollup", "Rss:")
	if resident < 0 {
		resident = readKib("/proc/self/status", "VmRSS:")
	}
	return resident + readKib("/proc/self/status", "VmPTE:")
}

func faults() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Minflt
}

type round struct{ start, wake, bytes, faults int64 }

func memoryRound(n int, wantBytes bool) (r round) {
	parked, woken, ended := 0, 0, 0
	first, second := make(chan struct{}), make(chan struct{})
	before, began := faults(), time.Now()
	for i := 0; i < n; i++ {
		go func() {
			parked++
			<-first
			woken++
			<-second
			ended++
		}()
	}
	for parked < n {
		runtime.Gosched()
	}
	r.start = time.Since(began).Nanoseconds()
	if wantBytes {
		r.bytes = memoryBytes()
	}
	began = time.Now()
	close(first)
	for woken < n {
		runtime.Gosched()
	}
	r.wake = time.Since(began).Nanoseconds()
	r.faults = faults() - before
	close(second)
	for ended < n {
		runtime.Gosched()
	}
	return r
}

func questionMemory(variant string) {
	n, _ := strconv.Atoi(variant)
	each := float64(n)
	available := readKib("/proc/meminfo", "MemAvailable:")
	if available >= 0 && float64(available)*0.8 < each*3072 {
		for _, what := range []string{"bytes", "start", "again", "wake"} {
			fmt.Printf("memory %s-%d - not enough memory in this machine\n", what, n)
		}
		return
	}
	show := func(what string, median float64, unit string, best float64) {
		report("memory", fmt.Sprintf("%s-%d", what, n), median, unit, best)
	}
	memoryBytes()
	before := memoryBytes()
	r := memoryRound(n, true)
	bytes := float64(r.bytes-before) / each
	show("bytes", bytes, "B", bytes)
	show("start", float64(r.start)/each, "ns", float64(r.start)/each)
	show("faults", float64(r.faults)/each, "per_task", float64(r.faults)/each)

	rounds, limit := 100, 500*time.Millisecond
	if n >= 1000000 {
		rounds = 1
	} else if n >= 100000 {
		rounds = 3
	} else if n >= 10000 {
		rounds = 20
	}
	if isQuick() {
		limit = 50 * time.Millisecond
	}
	var again, wake []float64
	refaults, began := int64(0), time.Now()
	for len(again) < rounds && (len(again) == 0 || time.Since(began) < limit) {
		r = memoryRound(n, false)
		again = append(again, float64(r.start)/each)
		wake = append(wake, float64(r.wake)/each)
		refaults += r.faults
	}
	m := median(again)
	show("again", m, "ns", again[0])
	m = median(wake)
	show("wake", m, "ns", wake[0])
	show("refaults", float64(refaults)/(each*float64(len(again))), "per_task",
		float64(refaults)/(each*float64(len(again))))
}

func main() {
	var all []*time.Timer
	for _, variant := range os.Args[2:] {
		switch os.Args[1] {
		case "switch":
			questionSwitch(variant)
		case "spawn":
			questionSpawn(variant)
		case "gather":
			questionGather(variant)
		case "timer":
			if all == nil {
				all = make([]*time.Timer, timers)
				for i := range all {
					all[i] = time.AfterFunc(delay(), never)
				}
			}
			questionTimer(variant, all)
		case "memory":
			questionMemory(variant)
		}
	}
}
