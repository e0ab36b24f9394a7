// Package servertest starts database servers and other programs for tests, as an
// account that they accept, in a folder of their own. Nothing of them outlives the
// test process. It is for Unix.
package servertest
