package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// typed is what stands behind "ostiary" when somebody presses the key, with some of what
// is offered then, and something that is not.
var typed = []struct {
	line    string
	offered []string
	not     string
}{
	{"", []string{"user", "token", "session", "application", "consent", "import", "check", "completion", "update_password"}, "list"},
	{"ses", []string{"session"}, "user"},
	{"session ", []string{"list", "end"}, "create"},
	{"session list --", []string{"--user", "--older-than", "--limit", "--dsn-file"}, "--all"},
	{"session list --ol", []string{"--older-than"}, "--user"},
	{"user create erika --su", []string{"--superuser"}, "--email"},
	{"user list -o ", []string{"table", "json"}, "erika"},
	{"token list --kind ", []string{"personal", "application"}, "erika"},
	{"import ", []string{"awx", "django", "dab"}, "gitlab"},
	{"import awx --existing ", []string{"skip", "link"}, "awx"},
	{"migrate --pl", []string{"--plan"}, "--create"},
}

// words does what the package bash-completion does for the script, and press what the
// shell does when somebody presses the key.
const words = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
source <(ostiary completion bash)
complete -p ostiary >/dev/null || exit 1
press() {
	COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9 COMPREPLY=()
	read -ra COMP_WORDS <<<"$1"
	[[ $1 == *' ' ]] && COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	__start_ostiary
	printf '%s\n' "${COMPREPLY[@]}"
}
press "$LINE"`

// Bash completes commands, flags and their values by the script, and the scripts for the
// other shells are well-formed where these are installed.
func TestCompletion(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ostiary"), fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", commandEnv, self), 0o700); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")
	for _, tt := range typed {
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-c", words)
		cmd.Env = append(os.Environ(), path, "LINE=ostiary "+tt.line)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", tt.line, err)
		}
		var offered []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ") // behind it stands a description
			offered = append(offered, word)
		}
		for _, word := range tt.offered {
			if !slices.Contains(offered, word) {
				t.Errorf("ostiary %s: %q is not offered: %q", tt.line, word, offered)
			}
		}
		if slices.Contains(offered, tt.not) {
			t.Errorf("ostiary %s: %q is offered", tt.line, tt.not)
		}
	}
	for _, shell := range []string{"zsh", "fish"} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("there is no %s here", shell)
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "ostiary completion "+shell+" >script && "+shell+" -n script")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
