package sqltest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

func (c *cluster) codes(round int) {
	now, name := time.Now(), fmt.Sprintf("code%d", round)
	err := c.nodes[0].InsertCode(c.t.Context(), store.Code{
		Digest: store.DigestOf(name), ApplicationID: c.app, UserID: "1", Created: now, Expires: now.Add(hour),
	}, anyNumber)
	if err != nil {
		c.t.Fatal(err)
	}
	n := c.everywhere(2, func(st *sqlstore.Store, n int) error {
		_, err := st.Redeem(context.Background(), store.Redemption{
			Code: store.DigestOf(name), ApplicationID: c.app, At: now, Token: c.token(fmt.Sprintf("%s.%d", name, n), now),
		})
		return err
	})
	if n != 1 {
		c.t.Errorf("round %d: a code was redeemed %d times", round, n)
	}
	for n := range 2 * galeraNodes {
		if nodes := c.alive(fmt.Sprintf("%s.%d", name, n)); nodes != nil {
			c.t.Errorf("round %d: a token of a code that was used twice is good at %v", round, nodes)
		}
	}
}

// rotate presents a refresh token.
func (c *cluster) rotate(st *sqlstore.Store, old store.Token, next string) error {
	now := time.Now()
	tok := c.token(next, now)
	tok.UserID, tok.Refresh.Grant = old.UserID, old.Refresh.Grant
	_, err := st.Rotate(context.Background(), store.Rotation{
		Refresh: old.Refresh.Digest, ApplicationID: c.app, Revision: old.Revision, At: now, Token: tok,
	})
	return err
}

func (c *cluster) refreshes(round int) {
	name := fmt.Sprintf("refresh%d", round)
	tok := c.insert(round%galeraNodes, c.token(name, time.Now()))
	n := c.everywhere(2, func(st *sqlstore.Store, n int) error { return c.rotate(st, tok, fmt.Sprintf("%s.%d", name, n)) })
	if n != 1 {
		c.t.Errorf("round %d: a refresh token was rotated %d times", round, n)
	}
}

func (c *cluster) reuse(round int) {
	name := fmt.Sprintf("reuse%d", round)
	tok := c.insert(0, c.token(name, time.Now()))
	if err := c.rotate(c.nodes[1], tok, name+"'"); err != nil {
		c.t.Fatal(err)
	}
	next, err := c.nodes[1].TokenByRefresh(c.t.Context(), refreshOf(name+"'"))
	if err != nil {
		c.t.Fatal(err)
	}
	if round%2 == 0 { // the first one has no record any more
		if err := c.rotate(c.nodes[2], next, name+"+"); err != nil {
			c.t.Fatal(err)
		}
		if next, err = c.nodes[2].TokenByRefresh(c.t.Context(), refreshOf(name+"+")); err != nil {
			c.t.Fatal(err)
		}
	}
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		if n == 2 {
			return c.rotate(st, tok, name+"''") // again
		}
		return c.rotate(st, next, fmt.Sprintf("%s.%d", name, n))
	})
	for _, last := range []string{"", "'", "''", "+", ".0", ".1"} {
		if nodes := c.alive(name + last); nodes != nil {
			c.t.Errorf("round %d: %s is good at %v although its family ended", round, name+last, nodes)
		}
	}
}

// session stores a session by a node.
func (c *cluster) session(st *sqlstore.Store, name, user string, keep int) error {
	now := time.Now()
	_, _, err := st.InsertSession(context.Background(), store.Session{
		Digest: sessionOf(name), UserID: user, Created: now, Seen: now, Expires: now.Add(hour),
	}, store.Digest{}, keep)
	return err
}

func (c *cluster) saves(round int) {
	name := fmt.Sprintf("save%d", round)
	if err := c.session(c.nodes[0], name, name, 0); err != nil {
		c.t.Fatal(err)
	}
	n := c.everywhere(2, func(st *sqlstore.Store, n int) error {
		return st.SaveSession(context.Background(), sessionOf(name), []byte{byte(n)}, 1, time.Now())
	})
	if n != 1 {
		c.t.Errorf("round %d: a session was saved %d times", round, n)
	}
}

// live returns how many sessions of a user a node sees.
func (c *cluster) live(node int, user string) int {
	c.t.Helper()
	list, _, err := c.nodes[node].ListSessions(c.t.Context(), store.SessionFilter{UserID: user}, time.Now(), store.Page{Limit: 1000, Descending: true})
	if err != nil {
		c.t.Fatal(err)
	}
	return len(list)
}

func (c *cluster) sessions(round int) {
	const keep = 2
	user := fmt.Sprintf("sessions%d", round)
	if err := c.session(c.nodes[0], user, user, keep); err != nil {
		c.t.Fatal(err)
	}
	c.everywhere(1, func(st *sqlstore.Store, n int) error { return c.session(st, fmt.Sprintf("%s.%d", user, n), user, keep) })
	for node := range c.nodes {
		if n := c.live(node, user); n != keep {
			c.t.Errorf("round %d: a user has %d sessions, want %d", round, n, keep)
		}
	}
}

// ends stores a session while those of its user end. Either it is among them, or
// it came later, and then the others ended.
func (c *cluster) ends(round int) {
	user := fmt.Sprintf("ends%d", round)
	if err := c.session(c.nodes[0], user, user, 0); err != nil {
		c.t.Fatal(err)
	}
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		if n != 0 {
			return c.session(st, fmt.Sprintf("%s.%d", user, n), user, 0)
		}
		_, err := st.EndSessions(context.Background(), store.SessionSelection{UserID: user}, store.EndedAdmin, time.Now())
		return err
	})
	list, _, err := c.nodes[1].ListSessions(c.t.Context(), store.SessionFilter{UserID: user}, time.Now(), store.Page{Limit: 1000, Descending: true})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, s := range list {
		if s.ID == 0 || len(list) > 2 {
			c.t.Errorf("round %d: sessions %v live on", round, list)
		}
	}
}

func (c *cluster) attempts(round int) {
	const most = 5
	charge := store.Charge{Key: fmt.Sprintf("attempts%d", round), Limit: store.Limit{Max: most, Window: hour}}
	n := c.everywhere(4, func(st *sqlstore.Store, n int) error {
		v, err := st.Charge(context.Background(), []store.Charge{charge}, time.Now())
		if err == nil && !v.Allowed {
			return store.ErrLimit
		}
		return err
	})
	if n != most {
		c.t.Errorf("round %d: %d attempts were allowed, want %d", round, n, most)
	}
}

func (c *cluster) pending(round int) {
	const most = 3
	now, user := time.Now(), fmt.Sprintf("pending%d", round)
	n := c.everywhere(3, func(st *sqlstore.Store, n int) error {
		return st.InsertCode(context.Background(), store.Code{
			Digest: store.DigestOf(fmt.Sprint(user, n)), ApplicationID: c.app, UserID: user, Created: now, Expires: now.Add(hour),
		}, most)
	})
	if n != most {
		c.t.Errorf("round %d: %d codes are pending, want %d", round, n, most)
	}
}

func (c *cluster) names(round int) {
	n := c.everywhere(1, func(st *sqlstore.Store, _ int) error {
		_, err := st.InsertUser(context.Background(), store.User{Name: fmt.Sprintf("name%d", round), Active: true})
		return err
	})
	if n != 1 {
		c.t.Errorf("round %d: a name was taken %d times", round, n)
	}
	ids := make([]string, galeraNodes)
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		u, err := st.InsertUser(context.Background(), store.User{Name: fmt.Sprintf("name%d.%d", round, n), Active: true})
		ids[n] = u.ID
		return err
	})
	if ids[0] == ids[1] || ids[1] == ids[2] || ids[0] == ids[2] {
		c.t.Errorf("round %d: users with the IDs %q", round, ids)
	}
}

// mint stores a child of a token.
func (c *cluster) mint(st *sqlstore.Store, parent store.Token, name string, most store.InsertLimits) (store.Token, error) {
	child := c.token(name, time.Now())
	child.UserID, child.ParentID, child.Expires = parent.UserID, parent.Family, parent.Expires
	child.ApplicationID, child.Refresh = 0, store.Refresh{}
	child, err := st.InsertToken(context.Background(), child, most)
	if err == nil {
		c.born.Add(1)
	}
	return child, err
}

// root stores a token that was minted by nobody.
func (c *cluster) root(name string) store.Token {
	c.t.Helper()
	tok := c.token(name, time.Now())
	tok.ApplicationID, tok.Refresh = 0, store.Refresh{}
	return c.insert(0, tok)
}

func (c *cluster) children(round int) {
	name := fmt.Sprintf("children%d", round)
	parent := c.root(name)
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		if n == 0 {
			_, err := st.RevokeTokens(context.Background(), store.Selection{TokenID: parent.ID}, time.Now())
			return err
		}
		child, err := c.mint(st, parent, fmt.Sprintf("%s.%d", name, n), limits)
		if err == nil {
			_, err = c.mint(st, child, fmt.Sprintf("%s.%d.%d", name, n, n), limits)
		}
		return err
	})
	for _, last := range []string{"", ".1", ".2", ".1.1", ".2.2"} {
		if nodes := c.alive(name + last); nodes != nil {
			c.t.Errorf("round %d: %s is good at %v", round, name+last, nodes)
		}
	}
}

func (c *cluster) grandchildren(round int) {
	name := fmt.Sprintf("rotated%d", round)
	parent := c.insert(0, c.token(name, time.Now()))
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		switch n {
		case 0:
			_, err := st.RevokeTokens(context.Background(), store.Selection{Family: parent.Family}, time.Now())
			return err
		case 1:
			return c.rotate(st, parent, name+"'")
		}
		_, err := c.mint(st, parent, name+".1", limits)
		return err
	})
	for _, last := range []string{"", "'", ".1"} {
		if nodes := c.alive(name + last); nodes != nil {
			c.t.Errorf("round %d: %s is good at %v", round, name+last, nodes)
		}
	}
}

// minted mints by all nodes at once. The contract allows as many too many as there
// are at a time, and no more.
func (c *cluster) minted(round int) {
	name := fmt.Sprintf("minted%d", round)
	parent := c.root(name)
	few := store.InsertLimits{Depth: 1, Live: 2}
	mint := func(st *sqlstore.Store, n int) error {
		_, err := c.mint(st, parent, fmt.Sprintf("%s.%d", name, n), few)
		return err
	}
	n := c.everywhere(1, mint)
	if n < few.Live {
		c.t.Errorf("round %d: %d tokens were minted, want at least %d", round, n, few.Live)
	}
	for node, st := range c.nodes {
		if err := mint(st, 10+node); !errors.Is(err, store.ErrLimit) {
			c.t.Errorf("round %d: one more: %v", round, err)
		}
	}
}

func (c *cluster) memories(round int) {
	const most = 2
	now, group := time.Now(), fmt.Sprintf("memories%d", round)
	key := func(n int) string { return fmt.Sprintf("%s.%d", group, n) }
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		return st.Settle(context.Background(), store.Settlement{
			Remember: store.Memory{Key: key(n), Until: now.Add(hour), Group: group, Most: most},
		})
	})
	known := 0
	for n := range galeraNodes {
		yes, err := c.nodes[n].Remembers(c.t.Context(), key(n), now)
		if err != nil {
			c.t.Fatal(err)
		}
		if yes {
			known++
		}
	}
	if known != most {
		c.t.Errorf("round %d: %d keys are remembered, want %d", round, known, most)
	}
}

func (c *cluster) deleted(round int) {
	name := fmt.Sprintf("deleted%d", round)
	app := c.application(name)
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		if n == 0 {
			return st.DeleteApplication(context.Background(), app, time.Now())
		}
		tok := c.token(fmt.Sprintf("%s.%d", name, n), time.Now())
		tok.ApplicationID = app
		_, err := st.InsertToken(context.Background(), tok, limits)
		return err
	})
	for _, last := range []string{".1", ".2"} {
		if nodes := c.alive(name + last); nodes != nil {
			c.t.Errorf("round %d: %s is good at %v", round, name+last, nodes)
		}
	}
}

// revokedUser revokes the tokens of a user while one of them is rotated and mints.
func (c *cluster) revokedUser(round int) {
	name := fmt.Sprintf("user%d", round)
	tok := c.token(name, time.Now())
	tok.UserID = name
	tok = c.insert(round%galeraNodes, tok)
	c.everywhere(1, func(st *sqlstore.Store, n int) error {
		if n == 0 {
			_, err := st.RevokeTokens(context.Background(), store.Selection{UserID: name}, time.Now())
			return err
		}
		if n == 1 {
			return c.rotate(st, tok, name+"'")
		}
		_, err := c.mint(st, tok, name+".1", limits)
		return err
	})
	for _, last := range []string{"", "'", ".1"} {
		if nodes := c.alive(name + last); nodes != nil {
			c.t.Errorf("round %d: %s is good at %v", round, name+last, nodes)
		}
	}
}
