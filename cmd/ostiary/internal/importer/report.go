package importer

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/printable"
)

// A Report tells what an import did and did not. It has no secret. The same source,
// options and target give the same report, but for Counts.Stored and Counts.Before,
// whose sum is the same.
type Report struct {
	Source  string    `json:"source"`
	Kind    Kind      `json:"kind"`
	DryRun  bool      `json:"dry_run"`
	Started time.Time `json:"started"` // the first run

	Counts   map[string]*Counts `json:"counts"` // by step
	Remarks  []*Remark          `json:"remarks"`
	Settings []Setting          `json:"settings,omitempty"`

	mu    sync.Mutex
	index map[remarkKey]*Remark
}

// Counts are the records of a step. Read is the sum of all others.
type Counts struct {
	Read    int64 `json:"read"`
	Stored  int64 `json:"stored"`   // by this run; in a dry run those that would be
	Before  int64 `json:"before"`   // by an earlier run
	Linked  int64 `json:"linked"`   // records of the target stand for them
	Gone    int64 `json:"gone"`     // an earlier run stored them, and they have ended in the target
	LeftOut int64 `json:"left_out"` // the remarks say why
}

// An Act is what happened to a record.
type Act string

// The acts.
const (
	LeftOut  Act = "left out"
	Conflict Act = "conflict" // left out, because the target has something else
	Changed  Act = "changed"
	Cut      Act = "cut" // an end in time that came nearer
	Note     Act = "note"
)

// A Remark is something that happened to one or more records.
type Remark struct {
	Step   string `json:"step"`
	Act    Act    `json:"act"`
	What   string `json:"what"`
	Count  int64  `json:"count"`
	IDs    []Span `json:"ids,omitempty"` // in the source
	Detail []Item `json:"detail,omitempty"`
}

// A Span is a range of IDs, both ends included.
type Span struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// An Item is one record of a remark.
type Item struct {
	ID   int64  `json:"id"`
	Name string `json:"name,omitempty"` // of the user, or the client identifier
	More string `json:"more,omitempty"`
}

// A Setting is a setting of the source with what stands for it here.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Here  string `json:"here"`
}

// maxDetail is the number of records that a remark names.
const maxDetail = 10_000

type remarkKey struct {
	step string
	act  Act
	what string
}

func newReport() *Report {
	return &Report{Counts: map[string]*Counts{}, index: map[remarkKey]*Remark{}}
}

func (r *Report) head(o Options, origin string, start time.Time) {
	r.Source, r.Kind, r.DryRun, r.Started = origin, o.Kind, o.DryRun, start
}

// count returns the counts of a step.
func (r *Report) count(step string) *Counts {
	if r.Counts[step] == nil {
		r.Counts[step] = &Counts{}
	}
	return r.Counts[step]
}

// totals are the numbers for the audit log, which has no names.
func (r *Report) totals() []slog.Attr {
	var list []slog.Attr
	var sum Counts
	for _, step := range []string{stepUsers, stepApplications, stepTokens} {
		c := r.count(step)
		list = append(list, slog.Int64(step, c.Stored))
		sum.Before += c.Before
		sum.Linked += c.Linked
		sum.LeftOut += c.LeftOut
	}
	return append(list, slog.Int64("stored_before", sum.Before), slog.Int64("linked", sum.Linked), slog.Int64("left_out", sum.LeftOut))
}

// A remark is about one record.
type remark struct {
	act  Act
	what string
	item Item
}

// add takes remarks about records whose IDs do not decrease.
func (r *Report) add(step string, remarks ...remark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range remarks {
		to := r.remark(step, m.act, m.what)
		to.Count++
		if n := len(to.IDs); n > 0 && m.item.ID == to.IDs[n-1].Last+1 {
			to.IDs[n-1].Last++
		} else if n == 0 || m.item.ID != to.IDs[n-1].Last {
			to.IDs = append(to.IDs, Span{m.item.ID, m.item.ID})
		}
		if m.item.Name+m.item.More != "" && len(to.Detail) < maxDetail {
			to.Detail = append(to.Detail, m.item)
		}
	}
}

// note adds a remark about a number of records without IDs.
func (r *Report) note(step string, act Act, n int64, what string) {
	if n > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remark(step, act, what).Count += n
	}
}

func (r *Report) remark(step string, act Act, what string) *Remark {
	key := remarkKey{step, act, what}
	to := r.index[key]
	if to == nil {
		to = &Remark{Step: step, Act: act, What: what}
		r.index[key] = to
		r.Remarks = append(r.Remarks, to)
	}
	return to
}

// sorted orders the remarks, which come in the order of the records.
func (r *Report) sorted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps := []string{stepUsers, stepMemberships, stepApplications, stepTokens}
	slices.SortFunc(r.Remarks, func(a, b *Remark) int {
		return cmp.Or(cmp.Compare(slices.Index(steps, a.Step), slices.Index(steps, b.Step)),
			cmp.Compare(a.Act, b.Act), cmp.Compare(a.What, b.What))
	})
}

// WriteJSON writes everything.
func (r *Report) WriteJSON(w io.Writer) error {
	r.sorted()
	return printable.JSON(w, r, " ")
}

// shownItems is the number of records that the text names for a remark.
const shownItems = 5

// MustAccept says what the service needs for the tokens of an import.
const MustAccept = "Imported tokens count where the service accepts them: TokensOptions.Imported, which is -awx-tokens of the example server."

// WriteText writes a summary for people. Names are quoted, for people chose them.
func (r *Report) WriteText(w io.Writer) error {
	r.sorted()
	var b strings.Builder
	fmt.Fprintf(&b, "Import of %s, begun at %s", r.Source, r.Started.UTC().Format(time.RFC3339))
	stored := "stored"
	if r.DryRun {
		stored = "would be stored"
		b.WriteString(" (dry run: nothing was written)")
	}
	b.WriteString("\n\n")
	for _, step := range []string{stepUsers, stepApplications, stepTokens} {
		if c := r.Counts[step]; c != nil {
			fmt.Fprintf(&b, "%-13s %d read: %d %s", step, c.Read, c.Stored, stored)
			for _, more := range []struct {
				n    int64
				what string
			}{{c.Before, "stored before"}, {c.Linked, "linked"}, {c.Gone, "ended here since"}, {c.LeftOut, "left out"}} {
				if more.n > 0 {
					fmt.Fprintf(&b, ", %d %s", more.n, more.what)
				}
			}
			b.WriteString("\n")
		}
	}
	for _, m := range r.Remarks {
		fmt.Fprintf(&b, "\n%s, %s: %d × %s\n", m.Step, m.Act, m.Count, m.What)
		for i, item := range m.Detail {
			if i == shownItems {
				fmt.Fprintf(&b, "    … the JSON report has all\n")
				break
			}
			fmt.Fprintf(&b, "    %d %q %s\n", item.ID, item.Name, printable.Text(item.More))
		}
	}
	for i, s := range r.Settings {
		if i == 0 {
			b.WriteString("\nSettings of the source, and what stands for them here:\n")
		}
		fmt.Fprintf(&b, "    %s = %s: %s\n", s.Name, printable.Text(s.Value), s.Here)
	}
	if c := r.Counts[stepTokens]; c != nil && c.Stored+c.Before > 0 {
		fmt.Fprintf(&b, "\n%s\n", MustAccept)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := io.WriteString(w, printable.Text(strings.TrimSuffix(line, "\n"))+"\n"); err != nil {
			return err
		}
	}
	return nil
}
