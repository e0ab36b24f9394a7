package auth

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/ostiary/auth/store"
)

// expiringPage is how many tokens Expiring reads at once.
const expiringPage = 200

// Expiring returns an iterator over the live personal access tokens that expire
// before within has passed, ordered by their expiry. It is for programs that remind
// owners by mail. Such a program can run once a day with a within of a day more than
// its notice, and remember the expiry of the last token. The iterator reads the
// tokens in pages of 200. It can leave out or repeat a token that changes meanwhile.
// It does not look at the owners, see [Tokens.OwnerOf]. An error of the store is the
// last pair. The iterator is empty for a within of zero or less.
func (t *Tokens) Expiring(ctx context.Context, within time.Duration) iter.Seq2[store.Token, error] {
	return func(yield func(store.Token, error) bool) {
		now := time.Now()
		from, after := now, int64(math.MaxInt64) // one that expires now is dead
		for {
			list, err := t.store.ListExpiring(ctx, from, after, now.Add(within), expiringPage)
			if err != nil {
				yield(store.Token{}, fmt.Errorf("auth: list tokens that expire: %w", err))
				return
			}
			for _, tok := range list {
				if !yield(tok, nil) {
					return
				}
			}
			if len(list) < expiringPage {
				return
			}
			last := list[len(list)-1]
			from, after = last.Expires, last.ID
		}
	}
}
