// Package misusetest has the mistakes that a host which embeds this module is likely
// to make, as tables of tests: each is refused at construction, or warned of once in
// the log, or found by a helper of package authtest. The tests of a package have the
// limits of its own options in detail.
package misusetest
