package importer

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A bar shows how far an import is, with its rate and the time that is left: on one
// line of a terminal, or as a line every few seconds.
type bar struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	step  string
	began time.Time
	shown time.Time
	width int // of the line on the terminal
}

const (
	barCells    = 20
	redraw      = 100 * time.Millisecond
	plainPeriod = 5 * time.Second
)

// update takes the number of records that a step is through with.
func (b *bar) update(step string, done, total int64) {
	now := b.now()
	if step != b.step {
		b.end()
		b.step, b.began = step, now
	}
	wait := plainPeriod
	if b.terminal {
		wait = redraw
	}
	if now.Sub(b.shown) < wait && done < total {
		return
	}
	b.shown = now
	line := b.line(done, total, now.Sub(b.began))
	if !b.terminal {
		fmt.Fprintln(b.out, line)
		return
	}
	pad := max(0, b.width-len(line))
	b.width = len(line)
	fmt.Fprint(b.out, "\r"+line+strings.Repeat(" ", pad))
}

// line returns one state as text.
func (b *bar) line(done, total int64, took time.Duration) string {
	share := 1.0
	if total > 0 {
		share = min(1, float64(done)/float64(total))
	}
	filled := int(share * barCells)
	line := fmt.Sprintf("%-12s [%s%s] %3.0f%%  %d of %d", b.step, strings.Repeat("#", filled), strings.Repeat(".", barCells-filled), share*100, done, total)
	if took < redraw || done == 0 {
		return line
	}
	rate := float64(done) / took.Seconds()
	line += fmt.Sprintf("  %.0f/s", rate)
	if done >= total {
		return line + "  " + took.Round(time.Second).String()
	}
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return line + "  " + left.Round(time.Second).String() + " left"
}

// end ends the line of a terminal.
func (b *bar) end() {
	if b.terminal && b.step != "" {
		fmt.Fprintln(b.out)
	}
	b.shown, b.width, b.step = time.Time{}, 0, ""
}
