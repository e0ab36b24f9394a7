package text

import (
	"strings"
)

// maxBrowser is the length of the longest answer of [Browser], in characters.
const maxBrowser = 64

// maxUserAgent is how much of a User-Agent is looked at, in bytes.
const maxUserAgent = 1024

// browsers are the products that name a browser, the telling ones first: most
// browsers name others, too.
var browsers = []struct{ product, name string }{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"},
	{"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
	{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
	{"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"},
	{"Version/", "Safari"},
}

// systems are what names an operating system, the telling ones first.
var systems = []struct{ part, name string }{
	{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"},
	{"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Macintosh", "macOS"}, {"Linux", "Linux"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"},
}

// Browser returns a short description of a User-Agent (RFC 9110 section 10.1.5) for
// people, such as "Firefox 128 on Linux" or "curl 8.5.0". It returns "" for a text
// that names no product. The description is a [Name] of at most 64 characters. A
// client can send any User-Agent: no decision may rest on it.
func Browser(userAgent string) string {
	userAgent = userAgent[:min(len(userAgent), maxUserAgent)]
	said := product(userAgent)
	if strings.HasPrefix(userAgent, "Mozilla/") {
		said = "Browser"
		for _, b := range browsers {
			if _, rest, ok := strings.Cut(userAgent, b.product); ok {
				said = versioned(b.name, version(rest, "0123456789", 5))
				break
			}
		}
		for _, s := range systems {
			if strings.Contains(userAgent, s.part) {
				said += " on " + s.name
				break
			}
		}
	}
	if Name(said, maxBrowser) != "" {
		return ""
	}
	return said
}

// product returns the first product of a User-Agent with its version.
func product(userAgent string) string {
	name, rest, _ := strings.Cut(userAgent, "/")
	if i := strings.IndexAny(name, " (;"); i >= 0 {
		name, rest = name[:i], ""
	}
	if len(name) > maxBrowser/2 {
		return ""
	}
	return versioned(name, version(rest, "0123456789.", 16))
}

func versioned(name, version string) string {
	if version == "" {
		return name
	}
	return name + " " + version
}

// version returns the characters at the beginning of s that are among those of
// digits, "" if there are more than most.
func version(s, digits string, most int) string {
	v := s[:len(s)-len(strings.TrimLeft(s, digits))]
	if len(v) > most {
		return ""
	}
	return strings.Trim(v, ".")
}
