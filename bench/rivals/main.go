// The program rivals measures this module beside other libraries and beside floors,
// prints the table, and writes it to a document.
//
//	go run . [-o ../../doc/performance.md] [-rounds 60] [-tokens 1000000] [-loopback 11] [-pages FILE]
package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ostiary/auth/bench"
)

func main() {
	out := flag.String("o", "", "the document whose generated section is replaced; none only prints")
	rounds := flag.Int("rounds", 60, "slices of each contestant; 0 leaves them out")
	tokens := flag.Int("tokens", 1_000_000, "tokens of the figures of memory; 0 leaves them out")
	loopback := flag.Int("loopback", 11, "rounds over loopback of 1 s for each server; 0 leaves them out")
	pages := flag.String("pages", "", "the table that BenchmarkPages of internal/sqltest has written")
	flag.Parse()

	var report bench.Report
	if *pages != "" {
		table, err := os.ReadFile(*pages)
		if err != nil {
			fmt.Fprintln(os.Stderr, "rivals:", err)
			os.Exit(1)
		}
		report.Pages = string(table)
	}
	measured := false
	// Package authtest wants a testing.TB, which a program gets from Benchmark only.
	testing.Benchmark(func(t *testing.B) {
		if measured {
			return
		}
		if *tokens > 0 { // before there is anything else to collect
			report.Memory = bench.MeasureMemory(t, *tokens)
		}
		contests := []bench.Contest{bench.Bearer(t), bench.Refused(t), bench.Sessions(t), bench.Basic(t), bench.Users(t)}
		contests[0].Contestants = append(contests[0].Contestants, bearer()...)
		contests[2].Contestants = append(contests[2].Contestants, sessionRivals()...)
		for _, c := range contests {
			if *rounds < 1 {
				break
			}
			report.Figures = append(report.Figures, c.Run(bench.Effort{Slice: 10 * time.Millisecond, Rounds: *rounds, Parallel: true})...)
		}
		if *loopback > 0 {
			report.Loopback = bench.MeasureLoopback(append(bench.Servers(t), loopbackRivals()...), *loopback, time.Second)
		}
		measured = true
	})
	if !measured {
		os.Exit(1)
	}
	text := report.Markdown()
	fmt.Print(text)
	if *out != "" {
		if err := bench.Replace(*out, text); err != nil {
			fmt.Fprintln(os.Stderr, "rivals:", err)
			os.Exit(1)
		}
	}
}
