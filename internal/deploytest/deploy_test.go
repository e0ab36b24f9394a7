package deploytest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ostiary/auth/internal/deploytest"
	"github.com/ostiary/auth/internal/porttest"
)

// no goroutine outlives what started it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repository = "../.."
	folder     = repository + "/examples/deploy"
)

func instructions(t *testing.T) []deploytest.Instruction {
	t.Helper()
	all, err := deploytest.Parse(folder + "/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkout copies what a clone would have.
func checkout(t *testing.T) string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = repository
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		b, err := os.ReadFile(filepath.Join(repository, name))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestContainer builds what the file says and runs it.
func TestContainer(t *testing.T) {
	all := instructions(t)
	work := t.TempDir()
	image, err := deploytest.Build(all, checkout(t), work)
	if err != nil {
		t.Fatal(err)
	}
	for dir := image.Root; ; dir = filepath.Dir(dir) { // as in ownFolder
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if dir == filepath.Dir(work) { // of this test; what is above is everybody's
			break
		}
	}
	t.Run("is safe", func(t *testing.T) { checkImage(t, all, image) })
	binary := filepath.Join(image.Root, image.Entrypoint.Args[0])
	if out, err := exec.Command("file", "-b", binary).CombinedOutput(); err == nil && !bytes.Contains(out, []byte("statically linked")) {
		t.Errorf("the server is %s", out)
	}
	t.Run("runs", func(t *testing.T) { runImage(t, image) })
	t.Run("unit", func(t *testing.T) { testUnit(t, binary) })
	t.Run("system calls", func(t *testing.T) { testSystemCalls(t, binary) })
}

func checkImage(t *testing.T, all []deploytest.Instruction, image deploytest.Image) {
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(image.User) {
		t.Errorf("user %q is no number, or root", image.User)
	}
	if !image.Entrypoint.Exec || !image.Health.Exec || !slices.Equal(image.Health.Args, append(slices.Clone(image.Entrypoint.Args), "-healthcheck")) {
		t.Errorf("entrypoint %+v, health check %+v", image.Entrypoint, image.Health)
	}
	if !slices.Equal(image.Volumes, []string{image.WorkDir}) || image.Owners[image.WorkDir] != image.User {
		t.Errorf("volumes %q, owners %q", image.Volumes, image.Owners)
	}
	for _, is := range all {
		if is.Name == "add" || is.Name == "from" && is.Args[0] != "scratch" && (!strings.Contains(is.Args[0], ":") || strings.HasSuffix(is.Args[0], ":latest")) {
			t.Errorf("%s %q takes what can change", is.Name, is.Args)
		}
	}
	for name := range image.Env {
		if strings.Contains(name, "PASSWORD") {
			t.Errorf("%s is in the image", name)
		}
	}
	// Nothing else is in it: no shell, no libraries.
	var files []string
	err := filepath.WalkDir(image.Root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, image.Root))
		}
		return err
	})
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", "/server"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("files %q (%v), want %q", files, err, want)
	}
}

// freeAddress returns an address that nobody has at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	ports, err := porttest.Free("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", ports[0])
}

// ownFolder makes a folder for an account, which it can reach: t.TempDir is for the
// account of the test alone. Without root it belongs to the one of the test.
func ownFolder(t *testing.T, uid, gid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ostiary")
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(dir, uid, gid)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func runImage(t *testing.T, image deploytest.Image) {
	user, group, _ := strings.Cut(image.User, ":")
	uid, _ := strconv.Atoi(user)
	gid, _ := strconv.Atoi(group)
	volume := ownFolder(t, uid, gid)
	more := []string{"OSTIARY_ADDR=" + freeAddress(t)}
	addr := strings.TrimPrefix(more[0], "OSTIARY_ADDR=")
	health := func() error {
		out, err := image.Command(volume, more, image.Health.Args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return err
	}
	if err := health(); err == nil {
		t.Error("healthy before it runs")
	}
	cmd := image.Command(volume, more, image.Entrypoint.Args...)
	listening(t, cmd)
	if err := health(); err != nil {
		t.Error(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", resp.Status)
	}
	checkProcess(t, cmd.Process.Pid, uid)
	info, err := os.Stat(filepath.Join(volume, "ostiary.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database: %v, %v", info, err)
	}
	end(t, cmd)
	if err := health(); err == nil {
		t.Error("healthy after it ended")
	}
}

// checkProcess holds that the process has no rights, and cannot write its root.
func checkProcess(t *testing.T, pid, uid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		for _, want := range []string{fmt.Sprintf(`Uid:\s+%d\s`, uid), `CapEff:\s+0+\n`} {
			if !regexp.MustCompile(want).Match(status) {
				t.Errorf("no %s in\n%s", want, status)
			}
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^\d+ \d+ \S+ \S+ / ro[, ]`, `(?m)^\d+ \d+ \S+ \S+ /data rw[, ]`} {
		if !regexp.MustCompile(want).Match(mounts) {
			t.Errorf("no %s in\n%s", want, mounts)
		}
	}
}

// listening starts the server and waits until it listens.
func listening(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Listening on ") {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return
		}
	}
	t.Fatalf("the server did not start: %v\n%s", cmd.Wait(), &stderr)
}

func end(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, cmd.Stderr)
	}
}

// maxExposure is how exposed systemd may find the unit, of 100.
const maxExposure = 15

// testUnit has systemd check the unit, as it is and with the credentials that it
// speaks of.
func testUnit(t *testing.T, binary string) {
	b, err := os.ReadFile(folder + "/ostiary.service")
	if err != nil {
		t.Fatal(err)
	}
	const installed = "ExecStart=/usr/local/bin/ostiary-server "
	if !strings.Contains(string(b), installed) {
		t.Fatal("the unit starts another program")
	}
	unit := strings.Replace(string(b), installed, "ExecStart="+binary+" ", 1)
	var dropIn strings.Builder
	_, comment, _ := strings.Cut(unit, "#\t[Service]\n")
	for line := range strings.Lines(comment) {
		text, ok := strings.CutPrefix(line, "#\t")
		if !ok {
			break
		}
		dropIn.WriteString(text)
	}
	if strings.Count(dropIn.String(), "\n") != 2 {
		t.Fatalf("the comment with credentials is %q", &dropIn)
	}
	for name, text := range map[string]string{
		"ostiary.service":             unit,
		"ostiary-credentials.service": strings.Replace(unit, "[Install]", "[Service]\n"+dropIn.String()+"[Install]", 1),
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		// It prints what it does not know and calls that a success.
		if out, err := analyze(t, "verify", "--man=no", file); err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		out, err := analyze(t, "security", "--offline=true", fmt.Sprintf("--threshold=%d", maxExposure), file)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Log(lines[len(lines)-1])
	}
}

func analyze(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil && os.Getenv("CI") == "" {
		t.Skip("systemd-analyze is not installed (Debian: systemd)")
	}
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_PAGER=", "NO_COLOR=1", "LC_ALL=C.UTF-8")
	return cmd.CombinedOutput()
}

// harmless are system calls that the filter refuses and the server does without: Go
// raises the limit of open files, which the unit sets.
var harmless = []string{"prlimit64", "setrlimit"}

// testSystemCalls holds that the filter of the unit lets the server do what it does.
func testSystemCalls(t *testing.T, binary string) {
	unit, err := os.ReadFile(folder + "/ostiary.service")
	if err != nil {
		t.Fatal(err)
	}
	allowed := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for _, set := range strings.Fields(m[2]) {
			for _, call := range systemCalls(t, set) {
				allowed[call] = m[1] == ""
			}
		}
	}
	if _, err := exec.LookPath("strace"); err != nil && os.Getenv("CI") == "" {
		t.Skip("strace is not installed")
	}
	const nobody = 65534 // root would do more
	dir := ownFolder(t, nobody, nobody)
	trace := filepath.Join(dir, "trace")
	addr := freeAddress(t)
	cmd := exec.Command("strace", "-D", "-f", "-qq", "-o", trace, binary, "-addr", addr)
	cmd.Dir = dir
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd.Env = []string{"OSTIARY_ADMIN_PASSWORD=a password of the test"}
	listening(t, cmd)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Minute}
	r, err := http.NewRequest("POST", "http://"+addr+"/api/v2/tokens/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("admin", "a password of the test")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("a token: %s", resp.Status)
	}
	end(t, cmd)
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z_0-9]+)\(`).FindAllSubmatch(b, -1) {
		call := string(m[1])
		if !seen[call] && !allowed[call] && !slices.Contains(harmless, call) {
			t.Errorf("the filter refuses %s", call)
		}
		seen[call] = true
	}
	t.Logf("%d system calls of %d that are allowed", len(seen), len(allowed))
	if !seen["openat"] || !seen["fsync"] && !seen["fdatasync"] {
		t.Errorf("the trace has only %d calls", len(seen))
	}
}

// systemCalls returns the members of a set, and of the sets in it.
func systemCalls(t *testing.T, set string) (all []string) {
	t.Helper()
	out, err := analyze(t, "syscall-filter", set)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, " ") || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(name, "@"):
			all = append(all, systemCalls(t, name)...)
		default:
			all = append(all, name)
		}
	}
	return all
}
