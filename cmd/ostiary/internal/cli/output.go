package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/ostiary/auth/cmd/ostiary/internal/printable"
	"github.com/ostiary/auth/store"
)

// A format is that of the output.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

var _ pflag.Value = (*format)(nil)

// String implements [pflag.Value].
func (f *format) String() string {
	if *f == "" {
		return string(formatTable)
	}
	return string(*f)
}

// Set implements [pflag.Value].
func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatJSON:
		*f = format(s)
		return nil
	}
	return errors.New("must be table or json")
}

// Type implements [pflag.Value].
func (f *format) Type() string { return "format" }

// A row is an object of the output: its cells in a table, and its JSON form.
type row interface{ cells() []string }

// list prints rows below a header.
func (a *app) list(header string, rows []row) error {
	if a.output == formatJSON {
		if rows == nil {
			rows = []row{}
		}
		return a.json(rows)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(cleaned(r.cells()), "\t"))
	}
	return w.Flush()
}

// A field is a line of a card.
type field struct{ name, value string }

// card prints one object, a line for each field.
func (a *app) card(object any, fields []field) error {
	if a.output == formatJSON {
		return a.json(object)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		fmt.Fprintln(w, f.name+"\t"+printable.Text(f.value))
	}
	return w.Flush()
}

// done says what was done.
func (a *app) done(object any, form string, args ...any) error {
	if a.output == formatJSON {
		return a.json(object)
	}
	_, err := fmt.Fprintln(a.Out, printable.Text(fmt.Sprintf(form, args...)))
	return err
}

// note tells people something that is no result.
func (a *app) note(form string, args ...any) {
	fmt.Fprintln(a.Err, printable.Text(fmt.Sprintf(form, args...)))
}

// warn tells people of a danger.
func (a *app) warn(text string) { a.note("ostiary: warning: %s", text) }

func (a *app) json(v any) error { return printable.JSON(a.Out, v, "  ") }

func cleaned(cells []string) []string {
	for i, c := range cells {
		cells[i] = printable.Text(c)
		if cells[i] == "" {
			cells[i] = "-" // an empty cell would not count as a column
		}
	}
	return cells
}

// A moment is a time in the output, in UTC to the second. The zero time is never.
type moment time.Time

func (m moment) String() string {
	if time.Time(m).IsZero() {
		return "never"
	}
	return time.Time(m).UTC().Format(time.RFC3339)
}

// MarshalJSON implements [json.Marshaler]. Never is null.
func (m moment) MarshalJSON() ([]byte, error) {
	if time.Time(m).IsZero() {
		return []byte("null"), nil
	}
	return []byte(strconv.Quote(m.String())), nil
}

// count returns a total of a list, which is exact up to a limit.
func count(n int) string {
	if n > store.MaxCount {
		return "more than " + strconv.Itoa(store.MaxCount)
	}
	return strconv.Itoa(n)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// flagsOf returns the names of those that are set.
func flagsOf(set map[string]bool, order ...string) string {
	var list []string
	for _, name := range order {
		if set[name] {
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}

// A counter shows how far long work is, on a terminal.
type counter struct {
	w    io.Writer // nil for none
	what string
	last time.Time
}

// counter returns one that shows itself if standard error is a terminal.
func (a *app) counter(what string) *counter {
	if _, ok := terminal(a.Err); !ok {
		return &counter{}
	}
	return &counter{w: a.Err, what: what}
}

func (c *counter) show(n int) {
	if c.w != nil && time.Since(c.last) > 100*time.Millisecond {
		c.last = time.Now()
		fmt.Fprintf(c.w, "\r%s: %d\x1b[K", c.what, n)
	}
}

// clear leaves the line to others.
func (c *counter) clear() {
	if c.w != nil && !c.last.IsZero() {
		fmt.Fprint(c.w, "\r\x1b[K")
	}
}
