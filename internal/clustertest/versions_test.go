package clustertest

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// older builds the example server of the commit in testdata/older, whose schema is the
// one before the present. It reports false where the history is not there, as in an
// archive of the source: then two versions cannot be tested.
func older(t *testing.T) (program string, schema int, ok bool) {
	t.Helper()
	text, err := os.ReadFile("testdata/older")
	if err != nil {
		t.Fatal(err)
	}
	var commit string
	if _, err := fmt.Sscan(string(text), &commit, &schema); err != nil {
		t.Fatal(err)
	}
	git := exec.Command("git", "archive", "--format=tar", commit)
	git.Dir = filepath.Join("..", "..")
	var complaint bytes.Buffer
	git.Stderr = &complaint
	source, err := git.Output()
	if err != nil {
		t.Logf("NOT TESTED: commit %s, the version with schema %d, is not in this copy of the repository: %v %s", commit, schema, err, &complaint)
		return "", 0, false
	}
	dir := t.TempDir()
	unpack(t, source, dir)
	program = filepath.Join(dir, "server")
	build := exec.Command("go", "build", "-o", program, "./server")
	build.Dir = filepath.Join(dir, "examples")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build commit %s: %v\n%s", commit, err, out)
	}
	return program, schema, true
}

// unpack writes the folders and files of an archive.
func unpack(t *testing.T, archive []byte, dir string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(to, 0o755)
		case tar.TypeReg:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(to, content, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Servers of the version before are replaced one by one, and one of them restarts after
// the schema has changed: no request fails, and what one version acknowledged holds at the
// other.
func TestTwoVersions(t *testing.T) {
	program, before, ok := older(t)
	if !ok {
		return
	}
	p := newPostgres(t)
	db := p.pool()
	schema := func() (n int) {
		if err := db.QueryRow("SELECT MAX(version) FROM auth_schema").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	c := newClusterOf(t, program, same(p.url()), "-drain", drain)
	if n := schema(); n != before {
		t.Fatalf("the older server made the schema %d, and testdata/older says %d", n, before)
	}
	anybody := c.pick
	c.retries = true
	c.balance()
	replace := func(n *node, program string) {
		n.stop()
		n.program = program
		n.start()
		n.listens()
		c.more(&c.acknowledged, 30)
	}
	c.underTraffic(func() {
		c.more(&c.acknowledged, 30)
		replace(c.nodes[0], "")
		replace(c.nodes[1], program) // again the old one, beside the new one
	})
	if n := schema(); n <= before {
		t.Errorf("this version left the schema at %d: testdata/older must name the last commit before the newest step", n)
	}
	balanced := c.pick
	c.pick, c.retries = anybody, false
	c.endAtOneNode(2)
	c.race(refreshForm(c.people[0]).Encode(), c.asApplication)
	c.pick, c.retries = balanced, true
	c.underTraffic(func() {
		replace(c.nodes[1], "")
		replace(c.nodes[2], "")
	})
	if n := c.outages.Load(); n > 0 {
		t.Errorf("%d answers 503", n)
	}
	c.settle()
}
