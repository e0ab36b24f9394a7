//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/cli"
)

// A console is a terminal with somebody in front of it.
type console struct {
	t     *testing.T
	front *os.File
	mu    sync.Mutex
	seen  bytes.Buffer
	news  chan struct{}
	end   chan int
	stop  context.CancelFunc
	done  chan struct{}
}

// console starts a command whose standard input and error are a terminal.
func (b *bench) console(t *testing.T, args ...string) *console {
	t.Helper()
	front, back, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &console{t: t, front: front, news: make(chan struct{}, 1), end: make(chan int, 1), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		part := make([]byte, 1024)
		for {
			n, err := front.Read(part)
			c.mu.Lock()
			c.seen.Write(part[:n])
			c.mu.Unlock()
			select {
			case c.news <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		w := cli.World{In: back, Out: back, Err: back, Env: func(name string) string { return b.env[name] }}
		c.end <- cli.Main(ctx, w, args)
	}()
	t.Cleanup(func() {
		stop()
		_, _ = front.WriteString("\n\n") // for a reader that nobody waits for any more
		_ = back.Close()
		_ = front.Close()
		<-c.done
	})
	return c
}

func (c *console) screen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}

// sees waits until the terminal shows this.
func (c *console) sees(text string) {
	c.t.Helper()
	patience := time.After(5 * time.Minute)
	for !strings.Contains(c.screen(), text) {
		select {
		case <-c.news:
		case <-patience:
			c.t.Fatalf("the terminal shows %q, want %q", c.screen(), text)
		}
	}
}

func (c *console) types(text string) {
	c.t.Helper()
	if _, err := c.front.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// ends waits for the end of the command and returns its status.
func (c *console) ends() int {
	c.t.Helper()
	select {
	case code := <-c.end:
		return code
	case <-time.After(5 * time.Minute):
		c.t.Fatalf("the command goes on; the terminal shows %q", c.screen())
		return -1
	}
}

// A password is typed twice, and not shown.
func TestPasswordPrompt(t *testing.T) {
	b := newBench(t)
	c := b.console(t, "user", "create", "erika")
	c.sees("Password: ")
	c.types(goodPassword + "\n")
	c.sees("The same again: ")
	c.types(goodPassword + "\n")
	if code := c.ends(); code != 0 {
		t.Fatalf("status %d: %s", code, c.screen())
	}
	c.sees("erika")
	if strings.Contains(c.screen(), goodPassword) {
		t.Errorf("the password is shown: %s", c.screen())
	}
	st := open(t, b).Store
	hash, err := st.PasswordHash(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := (auth.Argon2id{}).Verify(hash, goodPassword); !ok || err != nil {
		t.Errorf("the password is another: %v", err)
	}

	c = b.console(t, "user", "password", "erika")
	c.sees("Password: ")
	c.types("one good password\n")
	c.sees("The same again: ")
	c.types("another good password\n")
	if code := c.ends(); code != 2 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	c.sees("differ")
	for _, key := range []string{"\x03", "\x04"} { // ^C and ^D, which come as keys
		c = b.console(t, "user", "password", "erika")
		c.sees("Password: ")
		c.types(key)
		if code := c.ends(); code != 1 {
			t.Errorf("%q: status %d: %s", key, code, c.screen())
		}
		c.sees("interrupted, so nothing was changed")
	}
	c = b.console(t, "user", "password", "erika", "--password-stdin")
	if code := c.ends(); code != 2 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	c.sees("standard input is a terminal")
	c = b.console(t, "user", "create", "erika") // a name that is taken
	if code := c.ends(); code != 4 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	c.sees("exists already")
	if strings.Contains(c.screen(), "Password") {
		t.Errorf("asked in vain: %s", c.screen())
	}
	if after, err := st.PasswordHash(t.Context(), "1"); err != nil || after != hash {
		t.Errorf("the password has changed: %v", err)
	}
}

// An interrupt leaves a terminal behind that shows what is typed.
func TestInterruptedPrompt(t *testing.T) {
	b := newBench(t)
	c := b.console(t, "user", "create", "erika")
	c.sees("Password: ")
	c.stop()
	if code := c.ends(); code != 1 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	c.sees("interrupted")
	c.types("shown again")
	c.sees("shown again")
	want(t, "no user", []any{}, b.json("user", "list"))
}

func TestConfirmation(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	token := b.token("--user", "erika")
	for _, answer := range []string{"n\n", "\n", "no\n", "yse\n", "\x04"} {
		c := b.console(t, "token", "revoke", "--all")
		c.sees("all tokens of all users and applications, 1 of them. Go on? [y/N] ")
		c.types(answer)
		if code := c.ends(); code != 4 {
			t.Errorf("%q: status %d: %s", answer, code, c.screen())
		}
		c.sees("nothing was changed")
	}
	if bearer(t, b, token) != 0 {
		t.Error("the token has ended")
	}
	c := b.console(t, "token", "revoke", "--all")
	c.sees("[y/N] ")
	c.types("y\n")
	if code := c.ends(); code != 0 || bearer(t, b, token) == 0 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	c = b.console(t, "expire_sessions")
	c.sees("This logs all users out. Go on? [y/N] ")
	c.types("YES\n")
	if code := c.ends(); code != 0 {
		t.Errorf("status %d: %s", code, c.screen())
	}
}

// What is named one by one is confirmed on a terminal, and nowhere else.
func TestDeleteConfirmation(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"erika", "max", "otto"} {
		b.user(name)
	}
	c := b.console(t, "user", "delete", "erika", "max")
	c.sees(`the user "erika" with all sessions, tokens and consents. Go on? [y/N] `)
	c.types("n\n")
	c.sees(`the user "max" with`)
	c.types("y\n")
	if code := c.ends(); code != 4 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	c.sees("erika: not confirmed, so nothing was changed")
	if c = b.console(t, "user", "delete", "erika", "--yes"); c.ends() != 0 || strings.Contains(c.screen(), "Go on?") {
		t.Errorf("the terminal shows %s", c.screen())
	}
	want(t, "users", 1, len(b.json("user", "list").([]any)))
	b.ok("user", "delete", "otto")
	want(t, "users", []any{}, b.json("user", "list"))

	b.ok("application", "create", "shop", "--redirect-uri", "https://shop.example/cb")
	c = b.console(t, "application", "delete", "shop")
	c.sees(`the application "shop", 1, with all its tokens and consents. Go on? [y/N] `)
	c.types("\n")
	if code := c.ends(); code != 4 {
		t.Errorf("status %d: %s", code, c.screen())
	}
	b.ok("application", "delete", "shop")
}
