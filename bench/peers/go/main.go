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
	"sync"
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

// As bench_ring of bench.h, which tells how it works.
type ring struct {
	times, looks int
	began        time.Time
	took         time.Duration
	done         chan struct{}
}

// The first goroutine's reading of the clock; returns at which step the next one is due.
func (r *ring) look() int {
	r.looks++
	if r.looks == 1 {
		r.began = time.Now()
		return 2 + r.times
	}
	r.took = time.Since(r.began)
	return -1
}

// The same loop in functions of their own.
var kinds = []func(r *ring, look int){
	func(r *ring, look int) {
		for i := 0; i < r.times+4; i++ {
			if i == look {
				look = r.look()
			}
			runtime.Gosched()
		}
		r.done <- struct{}{}
	},
	func(r *ring, look int) {
		for i := 0; i < r.times+4; i++ {
			if i == look {
				look = r.look()
			}
			runtime.Gosched()
		}
		r.done <- struct{}{}
	},
	func(r *ring, look int) {
		for i := 0; i < r.times+4; i++ {
			if i == look {
				look = r.look()
			}
			runtime.Gosched()
		}
		r.done <- struct{}{}
	},
	func(r *ring, look int) {
		for i := 0; i < r.times+4; i++ {
			if i == look {
				look = r.look()
			}
			runtime.Gosched()
		}
		r.done <- struct{}{}
	},
}

func questionSwitch(variant string) {
	n, _ := strconv.Atoi(variant)
	nKinds := 1
	if variant == "mixed" {
		n, nKinds = 10, len(kinds)
	}
	measure("switch", variant, float64(n), func(times int) time.Duration {
		r := &ring{times: times, done: make(chan struct{}, n)}
		for i := 0; i < n; i++ {
			look := -1
			if i == 0 {
				look = 2
			}
			go kinds[i%nKinds](r, look)
		}
		for i := 0; i < n; i++ {
			<-r.done
		}
		return r.took
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

// ---- sync, queue ----

func questionSync(variant string) {
	var lock sync.Mutex
	switch variant {
	case "lock":
		measure("sync", variant, 1, func(times int) time.Duration {
			began := time.Now()
			for i := 0; i < times; i++ {
				lock.Lock()
				lock.Unlock()
			}
			return time.Since(began)
		})
	case "semaphore":
		// A channel with so many places.
		semaphore := make(chan struct{}, 1)
		measure("sync", variant, 1, func(times int) time.Duration {
			began := time.Now()
			for i := 0; i < times; i++ {
				semaphore <- struct{}{}
				<-semaphore
			}
			return time.Since(began)
		})
	case "event":
		// A channel that is closed.
		event := make(chan struct{})
		close(event)
		measure("sync", variant, 1, func(times int) time.Duration {
			began := time.Now()
			for i := 0; i < times; i++ {
				<-event
			}
			return time.Since(began)
		})
	case "contended":
		measure("sync", variant, 2, func(times int) time.Duration {
			done := make(chan struct{}, 2)
			began := time.Now()
			for j := 0; j < 2; j++ {
				go func() {
					for i := 0; i < times; i++ {
						lock.Lock()
						runtime.Gosched()
						lock.Unlock()
					}
					done <- struct{}{}
				}()
			}
			<-done
			<-done
			return time.Since(began)
		})
	}
}

func questionQueue(variant string) {
	size, _ := strconv.Atoi(variant)
	measure("queue", variant, 1, func(times int) time.Duration {
		queue := make(chan uint64, size)
		done := make(chan struct{})
		began := time.Now()
		go func() {
			for i := 0; i < times; i++ {
				if <-queue != uint64(i) {
					panic("an item was lost")
				}
			}
			close(done)
		}()
		for i := 0; i < times; i++ {
			queue <- uint64(i)
		}
		<-done
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

const groups = 10

type group struct {
	first, second        chan struct{}
	parked, woken, ended int
}

func (g *group) start(n int) {
	*g = group{first: make(chan struct{}), second: make(chan struct{})}
	for i := 0; i < n; i++ {
		go func() {
			g.parked++
			<-g.first
			g.woken++
			<-g.second
			g.ended++
		}()
	}
	for g.parked < n {
		runtime.Gosched()
	}
}

func (g *group) wake(n int) {
	close(g.first)
	for g.woken < n {
		runtime.Gosched()
	}
}

func (g *group) end(n int) {
	close(g.second)
	for g.ended < n {
		runtime.Gosched()
	}
}

// As bench_memory of bench.h, which tells what is measured.
func questionMemory(variant string) {
	n, _ := strconv.Atoi(variant)
	size := n / groups
	available := readKib("/proc/meminfo", "MemAvailable:")
	if available >= 0 && float64(available)*0.8 < float64(n)*3072 {
		for _, what := range []string{"bytes", "start", "again", "wake"} {
			fmt.Printf("memory %s-%d - not enough memory in this machine\n", what, n)
		}
		return
	}
	show := func(what string, median float64, unit string, best float64) {
		report("memory", fmt.Sprintf("%s-%d", what, n), median, unit, best)
	}
	all := make([]group, groups)
	memoryBytes()
	bytes, touched, began := memoryBytes(), faults(), time.Now()
	for i := range all {
		all[i].start(size)
	}
	took := float64(time.Since(began).Nanoseconds()) / float64(n)
	perTask := float64(faults()-touched) / float64(n)
	held := float64(memoryBytes()-bytes) / float64(n)
	show("bytes", held, "B", held)
	show("start", took, "ns", took)
	show("faults", perTask, "each", perTask)

	samples, limit := 100*groups, 500*time.Millisecond
	if n >= 1000000 {
		samples = groups
	} else if n >= 10000 {
		samples = 3 * groups
	}
	if isQuick() {
		limit = 50 * time.Millisecond
	}
	var again, wake []float64
	refaults, each, whole := int64(0), float64(size), time.Now()
	for len(again) < samples && (len(again) < groups || time.Since(whole) < limit) {
		g := &all[len(again)%groups]
		began = time.Now()
		g.wake(size)
		wake = append(wake, float64(time.Since(began).Nanoseconds())/each)
		g.end(size)
		touched, began = faults(), time.Now()
		g.start(size)
		again = append(again, float64(time.Since(began).Nanoseconds())/each)
		refaults += faults() - touched
	}
	m := median(again)
	show("again", m, "ns", again[0])
	m = median(wake)
	show("wake", m, "ns", wake[0])
	perTask = float64(refaults) / (each * float64(len(again)))
	show("refaults", perTask, "each", perTask)
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
		case "sync":
			questionSync(variant)
		case "queue":
			questionQueue(variant)
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
