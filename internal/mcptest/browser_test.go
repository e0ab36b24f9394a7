package mcptest_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const password = "a long enough password"

// browser starts a browser with an empty profile.
func browser(t *testing.T) context.Context {
	t.Helper()
	needs(t, "chromium")
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath("chromium"), chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(2 * time.Minute),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute) // a browser that hangs ends nevertheless
	t.Cleanup(cancel)
	return ctx
}

// forget removes the cookies of the tests before, which had other ports of this host.
func forget(t *testing.T, ctx context.Context) {
	t.Helper()
	run(t, ctx, network.ClearBrowserCookies())
}

// agree opens an authorization request, logs in if the server asks for it, and agrees.
// It returns what came back to the client, and the text of the consent page.
func agree(t *testing.T, ctx context.Context, link, user string) (back url.Values, consent string) {
	t.Helper()
	request, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	run(t, ctx, chromedp.Navigate(link))
	until(t, ctx, `document.querySelector("#password, button[name=allow]") !== null`)
	var login bool
	if run(t, ctx, chromedp.Evaluate(`document.querySelector("#password") !== null`, &login)); login {
		run(t, ctx, chromedp.SendKeys("#username", user), chromedp.SendKeys("#password", password+"\r"))
		until(t, ctx, `document.querySelector("button[name=allow]") !== null`)
	}
	run(t, ctx, chromedp.Evaluate(`document.body.innerText`, &consent), chromedp.Click("button[name=allow]"))
	callback := request.Query().Get("redirect_uri")
	var location string
	until(t, ctx, `location.href.startsWith("`+callback+`?")`)
	run(t, ctx, chromedp.Location(&location))
	answer, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Query(), consent
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// until waits for an expression to be true. The page may be on its way to another one
// meanwhile: errors are tried again.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		var ok bool
		if last = chromedp.Run(ctx, chromedp.Evaluate(expression, &ok)); last == nil && ok {
			return
		}
		time.Sleep(20 * time.Millisecond) // the browser is another process
	}
	var location, text string
	_ = chromedp.Run(ctx, chromedp.Location(&location), chromedp.Evaluate(`document.body.innerText`, &text))
	t.Fatalf("%s is not true (%v); the browser is at %s:\n%s", expression, last, location, text)
}
