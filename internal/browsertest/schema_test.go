package browsertest_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestSchemaPage reads what the API can do, by the keyboard alone and without a
// login.
func TestSchemaPage(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	visit(t, ctx, s.url+"/api/v2/schema/")
	headed(t, ctx, "API")
	first := "#subject-1 details:first-of-type"
	tabTo(t, ctx, first+" summary")
	run(t, ctx, chromedp.KeyEvent(kb.Enter))
	shown(t, ctx, first+"[open] pre")
	// One of each subject is looked at: axe-core takes minutes for all.
	run(t, ctx, chromedp.Evaluate(`for (const d of document.querySelectorAll("details:first-of-type")) d.open = true; 0`, nil))
	var text string
	run(t, ctx, chromedp.Evaluate(`document.querySelector("main").textContent`, &text))
	for _, want := range []string{"/api/v2/tokens/", "List tokens", "curl -H \"Authorization: Bearer $TOKEN\" '" + s.url} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	inspect(t, ctx, "schema")
}
