package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/private"
)

// terminal returns the terminal that v is.
func terminal(v any) (*os.File, bool) {
	f, ok := v.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

var errInterrupted = errors.New("interrupted, so nothing was changed")

// answer calls read, which waits for the terminal. An interrupt ends the wait.
func answer(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		text, err := read()
		got <- result{text, err}
	}()
	select {
	case r := <-got:
		return r.text, r.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

// confirm asks whether to do what cannot be undone.
func (a *app) confirm(ctx context.Context, sure bool, what string) error {
	if sure {
		return nil
	}
	tty, ok := terminal(a.In)
	if !ok {
		return refusedf("%s: there is no terminal to confirm it on; add --yes", what)
	}
	fmt.Fprintf(a.Err, "%s. Go on? [y/N] ", what)
	reply, err := answer(ctx, func() (string, error) { return bufio.NewReader(tty).ReadString('\n') })
	if err != nil {
		fmt.Fprintln(a.Err)
		if errors.Is(err, io.EOF) {
			return refusedf("not confirmed, so nothing was changed")
		}
		return err
	}
	switch strings.ToLower(strings.TrimSpace(reply)) {
	case "y", "yes":
		return nil
	}
	return refusedf("not confirmed, so nothing was changed")
}

// confirmNamed is confirm for what was named one by one, which a script need not confirm.
func (a *app) confirmNamed(ctx context.Context, sure bool, what string) error {
	_, ok := terminal(a.In)
	return a.confirm(ctx, sure || !ok, what)
}

// password reads a new password: from standard input if that is asked for, otherwise
// twice from the terminal. A typed one that is shorter than least characters is not
// asked for again.
func (a *app) password(ctx context.Context, stdin bool, least int) (string, error) {
	tty, ok := terminal(a.In)
	switch {
	case stdin && ok:
		return "", usagef("--password-stdin: standard input is a terminal, which would show the password; leave the flag out")
	case stdin:
		return a.line()
	case !ok:
		return "", usagef("there is no terminal to ask for the password: give it on standard input with --password-stdin")
	}
	first, err := a.hidden(ctx, tty, "Password: ")
	if err != nil {
		return "", err
	}
	if utf8.RuneCountInString(first) < least {
		return "", usagef("the password must have at least %d characters", least)
	}
	second, err := a.hidden(ctx, tty, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", usagef("the two passwords differ, so nothing was changed")
	}
	return first, nil
}

// hidden reads a line that the terminal does not show. The echo is off before the
// prompt is there, for people who type at once.
func (a *app) hidden(ctx context.Context, tty *os.File, prompt string) (string, error) {
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", err
	}
	both := struct {
		io.Reader
		io.Writer
	}{tty, a.Err}
	text, err := answer(ctx, func() (string, error) { return term.NewTerminal(both, "").ReadPassword(prompt) })
	if errRestore := term.Restore(int(tty.Fd()), before); err == nil {
		err = errRestore
	}
	if errors.Is(err, errInterrupted) || errors.Is(err, io.EOF) { // ^C and ^D come as the latter
		fmt.Fprintln(a.Err)
		err = errInterrupted
	}
	return text, err
}

// line reads a password from standard input: one line, with or without its end.
func (a *app) line() (string, error) {
	if f, ok := a.In.(*os.File); ok {
		private.Look(f, "the file on standard input", a.warn)
	}
	content, err := io.ReadAll(io.LimitReader(a.In, auth.MaxPassword+3))
	if err != nil {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case text == "":
		return "", usagef("standard input has no password")
	case strings.ContainsAny(text, "\r\n"):
		return "", usagef("standard input has more than one line, and a password is one")
	}
	return text, nil
}
