package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// A Report is what one run has measured.
type Report struct {
	Figures  []Figure
	Memory   Memory
	Loopback Loopback
	// Pages is the table that BenchmarkPages of internal/sqltest has written.
	Pages string
}

// Of returns the figure of a contestant, or the zero Figure.
func (r Report) Of(contest, name string) Figure {
	for _, f := range r.Figures {
		if f.Contest == contest && f.Name == name {
			return f
		}
	}
	return Figure{}
}

// Markdown returns the tables.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s, %d processors, %s, %s/%s.\n", processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	contest, floor := "", Figure{}
	for _, f := range r.Figures {
		if f.Contest != contest {
			contest, floor = f.Contest, f
			fmt.Fprintf(&b, "\n### %s\n\n| what | CPU | × first | wall | allocations | bytes | CPU, 2 cores | 2 cores do × |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n", strings.ToUpper(f.Contest[:1])+f.Contest[1:])
		}
		fmt.Fprintf(&b, "| %s | %s | %.2f | %s | %.0f | %.0f | %s | %.1f |\n", f.Name, nanoseconds(f.CPU), f.CPU/floor.CPU, nanoseconds(f.Wall), f.Allocs, f.Bytes, nanoseconds(f.CPU2), f.Throughput2)
	}
	if l := r.Loopback; l.Rounds > 0 {
		fmt.Fprintf(&b, "\n### Loopback\n\nClients: %s, 1 thread, %d connections; %d rounds of %v.\n\n", l.Generator, connections, l.Rounds, l.Each)
		b.WriteString("| what | requests a second | left of its base | CPU of the server | left by CPU | bytes | base |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n")
		for _, s := range l.Shares {
			of, cpu, ofCPU, bytes := "", "", "", ""
			if s.Base != "" {
				of = fmt.Sprintf("%.0f %%", 100*s.Of)
			}
			if s.CPU > 0 {
				cpu, bytes = nanoseconds(s.CPU), fmt.Sprintf("%.0f", s.Bytes)
			}
			if s.OfCPU > 0 {
				ofCPU = fmt.Sprintf("%.0f %%", 100*s.OfCPU)
			}
			fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %s | %s | %s |\n", s.Name, s.PerSecond, of, cpu, ofCPU, bytes, s.Base)
		}
	}
	if r.Pages != "" {
		fmt.Fprintf(&b, "\n### Lists\n\n%s", r.Pages)
	}
	if m := r.Memory; m.Tokens > 0 {
		fmt.Fprintf(&b, "\n### Memory\n\n%d tokens in store/memory: %.0f bytes a token, %.0f with a refresh token, %.0f each of the two of a refreshed grant. As many users without passwords: %.0f bytes a user. A full collection takes %v, and %v of process time.\n",
			m.Tokens, m.Bytes, m.WithRefresh, m.Refreshed, m.User, m.Collection.Round(time.Millisecond), m.CollectionCPU.Round(time.Millisecond))
	}
	return b.String()
}

func nanoseconds(n float64) string {
	if n < 1000 {
		return fmt.Sprintf("%.0f ns", n)
	}
	return fmt.Sprintf("%.2f µs", n/1000)
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown processor"
}

const begin, end = "<!-- measured -->\n", "<!-- end -->\n"

// Replace replaces what stands between the two marks of a document.
func Replace(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	head, rest, ok := strings.Cut(string(old), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no marks %q and %q", file, begin, end)
	}
	if err := os.WriteFile(file, []byte(head+begin+"\n"+text+"\n"+end+tail), 0o644); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	return nil
}
