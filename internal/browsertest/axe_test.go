package browsertest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// axe is the source of axe-core, which npm installs into a temporary folder.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	return string(b), err
})

// axeSource returns the source of axe-core.
func axeSource(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("npm is missing")
		}
		t.Skip("npm is missing: install it to have the pages audited")
	}
	source, err := axe()
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// A screen is what a page is looked at on.
type screen struct {
	name          string
	width, height int64
	scheme        string
	forced        string
	audit         bool // by axe-core, which takes seconds
}

var screens = []screen{
	{"desktop-light", 1280, 860, "light", "none", true},
	{"desktop-dark", 1280, 860, "dark", "none", false},
	{"phone-light", 375, 812, "light", "none", false},
	{"phone-dark", 375, 812, "dark", "none", true},
	{"forced", 1280, 860, "dark", "active", false},
}

// inspect checks the page on every screen, by axe-core too, and keeps pictures if
// asked to.
func inspect(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	run(t, ctx, chromedp.Evaluate(axeSource(t)+"; 0", nil))
	for _, s := range screens {
		dir := os.Getenv("SCREENSHOTS")
		if dir == "" && !s.audit {
			continue
		}
		run(t, ctx, emulation.SetDeviceMetricsOverride(s.width, s.height, 1, false),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: s.scheme}, {Name: "forced-colors", Value: s.forced},
			}))
		accessible(t, ctx)
		if s.audit {
			audit(t, ctx, name+" on "+s.name)
		}
		if dir != "" {
			var png []byte
			run(t, ctx, chromedp.FullScreenshot(&png, 100))
			if err := os.WriteFile(filepath.Join(dir, name+"-"+s.name+".png"), png, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, ctx, emulation.ClearDeviceMetricsOverride(), emulation.SetEmulatedMedia())
}

// audit fails the test on what axe-core finds.
func audit(t *testing.T, ctx context.Context, where string) {
	t.Helper()
	var findings []string
	run(t, ctx, chromedp.Evaluate(`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + " " + n.failureSummary)))`,
		&findings, chromedp.EvalAsValue, awaitPromise))
	if len(findings) > 0 {
		t.Errorf("%s:\n%s", where, strings.Join(findings, "\n"))
	}
}

func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
