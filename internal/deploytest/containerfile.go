package deploytest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// An Instruction is a line of a Containerfile.
type Instruction struct {
	Name  string // in lower case
	Args  []string
	Flags map[string]string
	Exec  bool // the arguments are those of a process, without a shell
}

// Parse reads a Containerfile. A warning of the parser is an error.
func Parse(file string) ([]Instruction, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	result, err := parser.Parse(f)
	if err != nil {
		return nil, err
	}
	if len(result.Warnings) > 0 {
		return nil, fmt.Errorf("%s: %v", file, result.Warnings[0])
	}
	var all []Instruction
	for _, n := range result.AST.Children {
		is := Instruction{Name: strings.ToLower(n.Value), Flags: make(map[string]string), Exec: n.Attributes["json"]}
		for _, f := range n.Flags {
			name, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
			is.Flags[name] = value
		}
		for a := n.Next; a != nil; a = a.Next {
			is.Args = append(is.Args, a.Value)
		}
		all = append(all, is)
	}
	return all, nil
}

// An Image is what the last stage of a file has.
type Image struct {
	Root       string // the folder with its files
	Env        map[string]string
	WorkDir    string
	User       string
	Owners     map[string]string // of paths, as COPY --chown says
	Entrypoint Instruction
	Health     Instruction
	Volumes    []string
}

// stage is one of the stages while it is built.
type stage struct {
	Image
	name, from string
}

// Build does what the instructions say. A stage has a folder below dir; source is what
// COPY without a stage takes. Commands run on this machine with the environment of
// the stage, in its folder, so that they must not name absolute paths.
func Build(all []Instruction, source, dir string) (Image, error) {
	stages := make(map[string]*stage)
	var current *stage
	for _, is := range all {
		if is.Name == "from" {
			current = &stage{from: is.Args[0], Image: Image{
				Root: filepath.Join(dir, strconv.Itoa(len(stages))), WorkDir: "/", Env: make(map[string]string), Owners: make(map[string]string),
			}}
			if len(is.Args) == 3 {
				current.name = is.Args[2]
			}
			stages[current.name] = current
			if err := os.MkdirAll(current.Root, 0o755); err != nil {
				return Image{}, err
			}
			continue
		}
		if err := current.do(is, stages, source); err != nil {
			return Image{}, fmt.Errorf("%s %q: %w", is.Name, is.Args, err)
		}
	}
	return current.Image, nil
}

func (s *stage) do(is Instruction, stages map[string]*stage, source string) error {
	switch is.Name {
	case "workdir":
		s.WorkDir = is.Args[0]
		return os.MkdirAll(s.path("."), 0o755)
	case "env":
		for i := 0; i+1 < len(is.Args); i += 3 { // name, value, separator
			s.Env[is.Args[i]] = strings.Trim(is.Args[i+1], `"`)
		}
	case "copy":
		return s.copy(is, stages, source)
	case "run":
		cmd := exec.Command("sh", "-c", is.Args[0])
		cmd.Dir = s.path(".")
		cmd.Env = os.Environ()
		for name, value := range maps.All(s.Env) {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	case "user":
		s.User = is.Args[0]
	case "volume":
		s.Volumes = is.Args
	case "entrypoint":
		s.Entrypoint = is
	case "healthcheck":
		is.Args = is.Args[1:] // CMD
		s.Health = is
	case "expose", "stopsignal":
	default:
		return fmt.Errorf("not known")
	}
	return nil
}

// path is where a path of the stage is on this machine.
func (s *stage) path(name string) string {
	if !path.IsAbs(name) {
		name = path.Join(s.WorkDir, name)
	}
	return filepath.Join(s.Root, name)
}

func (s *stage) copy(is Instruction, stages map[string]*stage, source string) error {
	from, to := is.Args[0], is.Args[1]
	if is.Flags["from"] == "" {
		from = filepath.Join(source, from)
	} else {
		other := stages[is.Flags["from"]]
		if other == nil {
			return fmt.Errorf("no stage %s", is.Flags["from"])
		}
		if strings.HasPrefix(from, "/etc/") { // comes with the image, and with this machine
			other = &stage{Image: Image{Root: "/"}}
		}
		from = other.path(from)
	}
	target := s.path(to)
	if strings.HasSuffix(to, "/") {
		target = filepath.Join(target, filepath.Base(from))
	}
	if owner := is.Flags["chown"]; owner != "" {
		s.Owners[to] = owner
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := os.MkdirAll(target, info.Mode().Perm()); err != nil {
			return err
		}
		return os.CopyFS(target, os.DirFS(from))
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(target, b, info.Mode().Perm())
}
