package importer

import (
	"context"
	"errors"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A writer stores batches of tokens, several at a time, and takes their results in
// order, so that the report and the mark are those of one batch after the other.
type writer struct {
	r     *run
	ctx   context.Context
	stop  context.CancelCauseFunc
	jobs  chan *job
	order chan *job
	ended chan struct{}
	total int64

	last   int64 // the ID up to which all is stored
	marked time.Time
}

// markPeriod is how often the mark is set. What was stored since is looked up again
// after a crash.
const markPeriod = time.Second

// A job is a batch on its way.
type job struct {
	batch   []sourceToken
	done    chan struct{}
	counts  Counts
	remarks []remark
	err     error
}

func (r *run) newWriter(ctx context.Context, total int64) *writer {
	w := &writer{r: r, jobs: make(chan *job), order: make(chan *job, r.Workers), ended: make(chan struct{}), total: total}
	w.ctx, w.stop = context.WithCancelCause(ctx)
	for range r.Workers {
		go func() {
			for j := range w.jobs {
				j.err = j.store(w.ctx, r)
				close(j.done)
			}
		}()
	}
	go w.collect()
	return w
}

// put hands a batch over.
func (w *writer) put(batch []sourceToken) error {
	j := &job{batch: batch, done: make(chan struct{})}
	select {
	case w.order <- j:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	w.jobs <- j // a worker is free soon, for it works on with a context that ended
	return nil
}

// collect takes the results. Behind a failure it takes none.
func (w *writer) collect() {
	defer close(w.ended)
	for j := range w.order {
		<-j.done
		if w.ctx.Err() != nil {
			continue
		}
		err := j.err
		if err == nil {
			w.r.report.add(stepTokens, j.remarks...)
			c := w.r.report.count(stepTokens)
			c.Read += j.counts.Read
			c.Stored += j.counts.Stored
			c.Before += j.counts.Before
			c.Gone += j.counts.Gone
			c.LeftOut += j.counts.LeftOut
			w.last = j.batch[len(j.batch)-1].id
			// A mark waits for the disk, and so would all batches behind it.
			if now := time.Now(); now.Sub(w.marked) >= markPeriod {
				err, w.marked = w.r.dst.mark(w.ctx, stepTokens, w.last), now
			}
			w.r.Progress(stepTokens, c.Read, w.total)
		}
		if err != nil {
			w.stop(err)
		}
	}
}

// finish waits for the batches, and returns the error of reading or writing.
func (w *writer) finish(err error) error {
	close(w.order)
	close(w.jobs)
	<-w.ended
	if cause := context.Cause(w.ctx); cause != nil {
		err = cause // what the reader met is a consequence
	}
	if err == nil && w.last != 0 {
		err = w.r.dst.mark(w.ctx, stepTokens, w.last)
	}
	w.stop(nil)
	return err
}

// store decides about a batch and stores it.
func (j *job) store(ctx context.Context, r *run) error {
	users, err := r.owners(ctx, j.owners())
	if err != nil {
		return err
	}
	var tokens, missing []store.Token
	var ids []int64
	whole := true // nothing of the batch can be there before
	j.counts.Read = int64(len(j.batch))
	for _, t := range j.batch {
		out, remarks, ok := r.convertedToken(t, users)
		j.remarks = append(j.remarks, remarks...)
		if !ok {
			j.counts.LeftOut++
			continue
		}
		passed := r.dst.passed(stepTokens, t.id)
		whole = whole && !passed
		tokens, ids = append(tokens, out), append(ids, t.id)
		if !passed {
			missing = append(missing, out)
		}
	}
	if !r.DryRun {
		n, err := r.dst.ImportTokens(ctx, missing)
		if err != nil {
			return changedMeanwhile(err)
		}
		if j.counts.Stored = int64(n); whole && n == len(tokens) {
			return nil
		}
	}
	return j.compare(ctx, r, tokens, ids)
}

// compare finds out what became of the tokens of a batch.
func (j *job) compare(ctx context.Context, r *run, tokens []store.Token, ids []int64) error {
	presences, err := r.dst.CompareTokens(ctx, tokens)
	if err != nil {
		return err
	}
	there := int64(0)
	for i, p := range presences {
		switch {
		case p == sqlstore.Same:
			there++
		case p == sqlstore.Taken:
			j.counts.LeftOut++
			j.remarks = append(j.remarks, remark{Conflict, whyTaken, Item{ID: ids[i]}})
		case r.DryRun && !r.dst.passed(stepTokens, ids[i]):
			j.counts.Stored++
		default:
			j.counts.Gone++
			j.remarks = append(j.remarks, remark{Note, whyGone, Item{ID: ids[i]}})
		}
	}
	j.counts.Before = there
	if !r.DryRun {
		j.counts.Before -= j.counts.Stored
	}
	return nil
}

// changedMeanwhile explains the refusal of a batch.
func changedMeanwhile(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errors.New("an application of the target was deleted or disabled during the import: run it again")
	}
	return err
}

// owners are the users of a batch, each once.
func (j *job) owners() []person {
	var people []person
	seen := map[int64]bool{}
	for _, t := range j.batch {
		if t.owner.id != 0 && !seen[t.owner.id] {
			seen[t.owner.id] = true
			people = append(people, t.owner)
		}
	}
	return people
}
