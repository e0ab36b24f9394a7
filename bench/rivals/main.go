// The program rivals measures this module beside other libraries and beside floors,
// prints the table, and writes it to a document.
//
//	go run . [-o ../../doc/performance.md] [-rounds 60] [-tokens 1000000]
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
	rounds := flag.Int("rounds", 60, "slices of each contestant")
	tokens := flag.Int("tokens", 1_000_000, "tokens of the figures of memory; 0 leaves them out")
	flag.Parse()

	var report bench.Report
	measured := false
	// Package authtest wants a testing.TB, which a program gets from Benchmark only.
	testing.Benchmark(func(t *testing.B) {
		if measured {
			return
		}
		contests := []bench.Contest{bench.Bearer(t), bench.Refused(t), bench.Sessions(t), bench.Basic(t)}
		contests[0].Contestants = append(contests[0].Contestants, bearer()...)
		contests[2].Contestants = append(contests[2].Contestants, sessionRivals()...)
		for _, c := range contests {
			report.Figures = append(report.Figures, c.Run(bench.Effort{Slice: 10 * time.Millisecond, Rounds: *rounds, Parallel: true})...)
		}
		if *tokens > 0 {
			report.Memory = bench.MeasureMemory(t, *tokens)
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
