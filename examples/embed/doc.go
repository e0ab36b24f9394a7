// Package embed has tests that drive the examples in its folders: a service for
// each task, to copy and to change. The README lists them.
package embed
