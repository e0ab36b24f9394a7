// Package bench measures what a request costs: with this module, with other
// libraries and with floors, which are the least that one would write by hand for
// the same guarantees.
//
// The contestants of a [Contest] take turns in slices of about 10 ms in one
// process, so that whatever else the machine does hits all of them alike. Read
// ratios of one run, not nanoseconds.
//
// The program of the module in folder rivals adds the other libraries and writes
// doc/performance.md. The test here holds ratios to the floors.
package bench

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A Contestant does one kind of work again and again.
type Contestant struct {
	Name string
	// Worker returns a function that does the work n times. It is called once for
	// each goroutine that works at the same time as others.
	Worker func() func(n int)
}

// A Contest is a race of contestants that do comparable work.
type Contest struct {
	Name        string
	Contestants []Contestant
}

// A Figure is what one piece of work costs: medians over all slices.
type Figure struct {
	Contest, Name string
	CPU           float64 // process time in ns, with the share of the collector
	Wall          float64 // ns
	Allocs, Bytes float64
	CPU2          float64 // process time in ns while both of two goroutines work
	Throughput2   float64 // what two goroutines do in the time in which one does 1
}

// Effort says how much to measure.
type Effort struct {
	Slice  time.Duration // of one contestant
	Rounds int           // in which each contestant has one slice
	// Parallel also measures two goroutines on two processors.
	Parallel bool
}

// Run returns the figures of the contestants, in their order. It changes the
// settings of the collector while it runs.
//
// The collector is off during slices. It runs between them when the heap has
// doubled, and its process time is shared by the bytes that each contestant has
// allocated: otherwise a contestant would pay for the garbage of the one before.
func (c Contest) Run(e Effort) []Figure {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := c.measure(e, 1)
	figures := make([]Figure, len(one))
	for i, m := range one {
		figures[i] = Figure{
			Contest: c.Name, Name: c.Contestants[i].Name,
			CPU: m.cpu, Wall: m.wall, Allocs: m.allocs, Bytes: m.bytes,
		}
	}
	if e.Parallel {
		runtime.GOMAXPROCS(2)
		for i, m := range c.measure(e, 2) {
			figures[i].CPU2 = m.cpu
			figures[i].Throughput2 = figures[i].Wall / m.wall
		}
	}
	return figures
}

type measured struct{ cpu, wall, allocs, bytes, collector float64 }

type runner struct {
	workers []func(int)
	n       int // pieces of work of one worker in a slice
	cpus    []float64
	walls   []float64
	allocs  uint64
	bytes   uint64
	done    uint64
}

func (c Contest) measure(e Effort, workers int) []measured {
	runners := make([]*runner, len(c.Contestants))
	for i, one := range c.Contestants {
		r := &runner{}
		for range workers {
			r.workers = append(r.workers, one.Worker())
		}
		r.calibrate(e.Slice)
		runners[i] = r
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	live := before.HeapAlloc
	var collector float64 // ns
	var garbage uint64    // bytes
	for range e.Rounds {
		for _, i := range rand.Perm(len(runners)) {
			r := runners[i]
			runtime.ReadMemStats(&before)
			r.slice()
			runtime.ReadMemStats(&after)
			r.allocs += after.Mallocs - before.Mallocs
			r.bytes += after.TotalAlloc - before.TotalAlloc
			garbage += after.TotalAlloc - before.TotalAlloc
			if after.HeapAlloc > 2*live {
				start := processTime()
				runtime.GC()
				collector += processTime() - start
			}
		}
	}
	if garbage > 0 { // charge for what is left over, too
		start := processTime()
		runtime.GC()
		if collector == 0 {
			runtime.ReadMemStats(&after)
			collector = (processTime() - start) * float64(garbage) / float64(max(live, 4<<20))
		}
	}
	out := make([]measured, len(runners))
	for i, r := range runners {
		m := measured{
			wall:   median(r.walls),
			allocs: float64(r.allocs) / float64(r.done),
			bytes:  float64(r.bytes) / float64(r.done),
		}
		if garbage > 0 {
			m.collector = m.bytes * collector / float64(garbage)
		}
		m.cpu = median(r.cpus) + m.collector
		out[i] = m
	}
	return out
}

// calibrate finds how many pieces of work fill a slice.
func (r *runner) calibrate(slice time.Duration) {
	r.n = 1
	for range 2 { // what the first time costs, such as a hash of a password, is no matter
		for _, work := range r.workers {
			work(Presented)
		}
	}
	// On a busy machine the time of a few pieces of work says nothing. It counts when the
	// one before it was about the same, or when it is long.
	for last := 0.0; ; r.n *= 2 {
		start := processTime()
		r.run()
		took := (processTime() - start) / float64(len(r.workers))
		each := took / float64(r.n)
		if took > float64(slice)/4 && (max(each, last) <= 2*min(each, last) || took > 8*float64(slice)) {
			r.n = max(1, int(float64(slice)/each))
			return
		}
		last = each
	}
}

func (r *runner) slice() {
	cpu, wall := processTime(), time.Now()
	r.run()
	took := time.Since(wall)
	spent := processTime() - cpu
	n := r.n * len(r.workers)
	r.cpus = append(r.cpus, spent/float64(n))
	r.walls = append(r.walls, float64(took)/float64(n))
	r.done += uint64(n)
}

func (r *runner) run() {
	if len(r.workers) == 1 {
		r.workers[0](r.n)
		return
	}
	var all sync.WaitGroup
	for _, work := range r.workers {
		all.Go(func() { work(r.n) })
	}
	all.Wait()
}

// processTime returns the time in ns that all threads of this process had a
// processor.
func processTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
