package main

import (
	"fmt"
	"go/types"
	"slices"
)

// declarations returns the exported declarations of a package, one line each.
func declarations(p *types.Package) []string {
	// Types of other packages are written as code writes them: http.Handler.
	qualifier := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return other.Name()
	}
	var lines []string
	for _, name := range p.Scope().Names() {
		obj := p.Scope().Lookup(name)
		if !obj.Exported() {
			continue
		}
		line := types.ObjectString(obj, qualifier)
		switch obj := obj.(type) {
		case *types.Const:
			line += " = " + obj.Val().ExactString()
		case *types.TypeName:
			line = typeLine(obj, qualifier)
			if !obj.IsAlias() {
				of := types.TypeString(obj.Type(), qualifier)
				for _, member := range members(obj.Type(), qualifier) {
					lines = append(lines, fmt.Sprintf("type %s, %s", of, member))
				}
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// typeLine returns the declaration of a type without its members.
func typeLine(obj *types.TypeName, qualifier types.Qualifier) string {
	if !obj.IsAlias() {
		kind := ""
		switch u := obj.Type().Underlying().(type) {
		case *types.Struct:
			kind = "struct"
		case *types.Interface:
			kind = "interface"
			if !u.IsMethodSet() { // a constraint
				kind = types.TypeString(u, qualifier)
			}
		}
		if kind != "" {
			return "type " + types.TypeString(obj.Type(), qualifier) + " " + kind
		}
	}
	return types.ObjectString(obj, qualifier)
}

// members returns the exported fields and methods of a type, one line each.
func members(t types.Type, qualifier types.Qualifier) []string {
	var lines []string
	if s, ok := t.Underlying().(*types.Struct); ok {
		lines = fields(s, qualifier)
	}
	set := types.NewMethodSet(t)
	if !types.IsInterface(t) {
		set = types.NewMethodSet(types.NewPointer(t))
	}
	for m := range set.Methods() {
		if !m.Obj().Exported() {
			continue
		}
		signature := types.TypeString(m.Type(), qualifier)[len("func"):]
		lines = append(lines, fmt.Sprintf("method %s%s%s", receiver(t, m.Obj()), m.Obj().Name(), signature))
	}
	return lines
}

// receiver returns "*" before a method that only a pointer has.
func receiver(t types.Type, method types.Object) string {
	if types.IsInterface(t) || types.NewMethodSet(t).Lookup(method.Pkg(), method.Name()) != nil {
		return ""
	}
	return "*"
}

// fields returns the exported fields of a struct, and those of the structs that it
// embeds under a name that is not exported.
func fields(s *types.Struct, qualifier types.Qualifier) []string {
	var lines []string
	for i := range s.NumFields() {
		f := s.Field(i)
		switch {
		case f.Exported() && f.Embedded():
			lines = append(lines, "embeds "+types.TypeString(f.Type(), qualifier))
		case f.Exported():
			line := fmt.Sprintf("field %s %s", f.Name(), types.TypeString(f.Type(), qualifier))
			if tag := s.Tag(i); tag != "" {
				line += fmt.Sprintf(" %q", tag)
			}
			lines = append(lines, line)
		case f.Embedded():
			if embedded, ok := f.Type().Underlying().(*types.Struct); ok {
				lines = append(lines, fields(embedded, qualifier)...)
			}
		}
	}
	return lines
}
