// The question `channel` of bench/bench_channel.c, asked of Go. Called and printed as bench/bench.h says.
// `one` and `tasks` run on one processor, the others on two.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"syscall"
	"time"
)

const capacity, many = 1024, 8

func cpuNow() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func wallNow() int64 { return time.Now().UnixNano() }

func measure(variant string, each float64, fn func(times int) int64) {
	enough, repetitions := int64(20e6), 5
	if quick := os.Getenv("BENCH_QUICK"); quick != "" && quick != "0" {
		enough, repetitions = int64(4e6), 3
	}
	times := 1
	for fn(times) < enough {
		times *= 2
	}
	samples := make([]float64, repetitions)
	for i := range samples {
		samples[i] = float64(fn(times)) / (float64(times) * each)
	}
	sort.Float64s(samples)
	fmt.Printf("channel %s %.2f ns %.2f\n", variant, samples[repetitions/2], samples[0])
}

func send(c chan uint64, times int) {
	for i := 0; i < times; i++ {
		c <- uint64(i)
	}
}

func receive(c chan uint64, times int) {
	for i := 0; i < times; i++ {
		<-c
	}
}

func one(times int) int64 {
	c := make(chan uint64, capacity)
	began := wallNow()
	for i := 0; i < times; i++ {
		c <- uint64(i)
		<-c
	}
	return wallNow() - began
}

func across(sides int, now func() int64) func(times int) int64 {
	return func(times int) int64 {
		c := make(chan uint64, capacity)
		var group sync.WaitGroup
		began := now()
		for i := 0; i < sides; i++ {
			group.Add(2)
			go func() { send(c, times); group.Done() }()
			go func() { receive(c, times); group.Done() }()
		}
		group.Wait()
		return now() - began
	}
}

func ping(times int) int64 {
	to, back := make(chan uint64, 1), make(chan uint64, 1)
	go func() {
		for i := 0; i < times; i++ {
			back <- <-to
		}
	}()
	began := wallNow()
	for i := 0; i < times; i++ {
		to <- uint64(i)
		<-back
	}
	return wallNow() - began
}

func main() {
	for _, variant := range os.Args[2:] {
		runtime.GOMAXPROCS(2)
		switch variant {
		case "one":
			runtime.GOMAXPROCS(1)
			measure(variant, 1, one)
		case "tasks":
			runtime.GOMAXPROCS(1)
			measure(variant, 1, across(1, wallNow))
		case "loops":
			measure(variant, 1, across(1, wallNow))
		case "loops-cpu":
			measure(variant, 1, across(1, cpuNow))
		case "many":
			measure(variant, many, across(many, wallNow))
		case "ping":
			measure(variant, 1, ping)
		}
	}
}
