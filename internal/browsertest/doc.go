// Package browsertest uses the pages in a real browser.
package browsertest
