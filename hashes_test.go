package auth_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/ostiary/auth"
)

// Hashes made by other programs: Python's hashlib, libxcrypt, and the test
// vectors of the reference implementation of Argon2.
const (
	pbkdf2Hash    = "pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0="
	pbkdf2Umlaut  = "pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A="
	argonHash     = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" // "password"
	scryptHash    = "scrypt$16384$saltysalt$8$5$kqDTS481k5JQLRDWI4kC2b2UACRGjg+pshFAAPZxyRLSVVgSRr9CbhmzlS7fBbPr3b3M/UqUhfTVZ2DGOpeZAA=="
	bcryptHash    = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
	bcrypt72      = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe" // 72 times a
	bcryptSHA     = "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuIvyWZlBcE3WoQXKqRnwrLYJ6nenE0Bq"
	bcryptSHALong = "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuufa/kogarLQsyrFJS3kBsSJ.sFA0h60G" // 200 times a
)

// hashes that migrated from elsewhere are checked, and
// called outdated when they match.
func TestMigratedHashes(t *testing.T) {
	for _, tt := range []struct {
		name, hash, password string
		want                 bool
	}{
		{"Django PBKDF2", pbkdf2Hash, "correct horse", true},
		{"Django PBKDF2, wrong", pbkdf2Hash, "correct hors", false},
		{"Django PBKDF2, UTF-8", pbkdf2Umlaut, "lètmein", true},
		{"Django PBKDF2, another normal form", pbkdf2Umlaut, "le\u0300tmein", false},
		{"Django PBKDF2, 100 bytes", "pbkdf2_sha256$36000$O2jwbFvUrPXa$Fxp6X8YoCdMsmOPBg9vGoh9+lb+a8xIvhzi1/9yIPng=", strings.Repeat("a", 100), true},
		{"argon2id", argonHash, "password", true},
		{"argon2id, wrong", argonHash, "Password", false},
		{"Django argon2", "argon2" + argonHash, "password", true},
		{"Django argon2, wrong", "argon2" + argonHash, "", false},
		{"Django argon2i", "argon2$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8", "password", true},
		{"Django argon2i, wrong", "argon2$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8", "passwort", false},
		{"Django PBKDF2 with SHA-1", "pbkdf2_sha1$1000$saltysalt$IJr7AsPnoFOPxPTaJU4itBYEaz4=", "correct horse", true},
		{"Django PBKDF2 with SHA-1, wrong", "pbkdf2_sha1$1000$saltysalt$IJr7AsPnoFOPxPTaJU4itBYEaz4=", "correct", false},
		{"Django scrypt", scryptHash, "correct horse", true},
		{"Django scrypt, wrong", scryptHash, "correct hors", false},
		{"Django scrypt, UTF-8", "scrypt$1024$saltysalt$8$1$obGUrWpEHrREZM3jnX2h9jd+NRf1XZz7kaAW+C436iZKvRY2P4wGSOZetbTZBbfcu5n7xcvfDTfkBGJdDk1hzA==", "lètmein", true},
		{"bcrypt", bcryptHash, "correct horse", true},
		{"bcrypt 2y", strings.Replace(bcryptHash, "2b", "2y", 1), "correct horse", true},
		{"bcrypt 2a", strings.Replace(bcryptHash, "2b", "2a", 1), "correct horse", true},
		{"bcrypt, wrong", bcryptHash, "correct horsf", false},
		{"Django bcrypt", "bcrypt$" + bcryptHash, "correct horse", true},
		{"bcrypt, 72 bytes", bcrypt72, strings.Repeat("a", 72), true},
		{"bcrypt, 71 bytes of 72", bcrypt72, strings.Repeat("a", 71), false},
		{"bcrypt sees no 73rd byte, as in the system that made it, E11", bcrypt72, strings.Repeat("a", 73), true},
		{"bcrypt, another 73rd byte", bcrypt72, strings.Repeat("a", 72) + "b", true},
		{"bcrypt, cut within a character", bcrypt72, strings.Repeat("a", 71) + "é", false},
		{"bcrypt, another 72nd byte", bcrypt72, strings.Repeat("a", 71) + "ba", false},
		{"bcrypt 2y, a megabyte", strings.Replace(bcrypt72, "2b", "2y", 1), strings.Repeat("a", 1<<20), true},
		{"Django bcrypt, 100 bytes", "bcrypt$" + bcrypt72, strings.Repeat("a", 100), true},
		{"bcrypt, NUL behind byte 72", bcrypt72, strings.Repeat("a", 80) + "\x00", false},
		{"bcrypt takes NUL for an end", bcryptHash, "correct horse\x00correct horse", false},
		{"Django bcrypt_sha256", bcryptSHA, "correct horse", true},
		{"Django bcrypt_sha256, wrong", bcryptSHA, "correct", false},
		{"Django bcrypt_sha256 sees all of a long password", bcryptSHALong, strings.Repeat("a", 200), true},
		{"Django bcrypt_sha256, one less", bcryptSHALong, strings.Repeat("a", 199), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !(auth.Argon2id{}).Reads(tt.hash) {
				t.Error("Reads says no")
			}
			ok, outdated, err := auth.Argon2id{}.Verify(tt.hash, tt.password)
			if ok != tt.want || outdated && !ok || err != nil {
				t.Errorf("got %v, outdated %v, %v", ok, outdated, err)
			}
			if ok && !outdated {
				t.Error("a migrated hash is not called outdated")
			}
		})
	}
}

// what Hash makes, and when it is outdated.
func TestArgon2id(t *testing.T) {
	hash, err := auth.Argon2id{}.Hash("correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("Hash: %q, %v", hash, err)
	}
	if again, _ := (auth.Argon2id{}).Hash("correct horse"); again == hash {
		t.Error("two hashes of a password are equal: there is no salt")
	}
	for _, tt := range []struct {
		name         string
		hasher       auth.Argon2id
		password     string
		ok, outdated bool
	}{
		{"right", auth.Argon2id{}, "correct horse", true, false},
		{"wrong", auth.Argon2id{}, "wrong", false, false},
		{"stronger parameters call it outdated", auth.Argon2id{Time: 3}, "correct horse", true, true},
	} {
		if ok, outdated, err := tt.hasher.Verify(hash, tt.password); ok != tt.ok || outdated != tt.outdated || err != nil {
			t.Errorf("%s: %v, outdated %v, %v", tt.name, ok, outdated, err)
		}
	}
	for name, weak := range map[string]auth.Argon2id{
		"little memory": {Memory: 19455}, "one pass": {Time: 1}, "one pass, 46 MiB less a bit": {Memory: 47_103, Time: 1},
		"more memory than Verify would compute": {Memory: 256<<10 + 1}, "more passes": {Time: 17}, "more threads": {Threads: 17},
	} {
		if hash, err := weak.Hash("x"); err == nil {
			t.Errorf("%s: got %s", name, hash)
		}
	}
}

// hashes that nobody honest stored are refused at once: they never match,
// never panic, and never cost more than an honest one. Of one that was computed
// Verify says that it does not match, without an error.
func TestHashesRefusedAtAGlance(t *testing.T) {
	const tail = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for name, hash := range map[string]string{
		"empty":                             "",
		"one sign":                          "$",
		"only signs":                        "$$$$$$$$",
		"plain text":                        "password",
		"unusable in Django":                "!",
		"Django MD5":                        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
		"Django SHA-1":                      "sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
		"PBKDF2 with SHA-1, key of another": "pbkdf2_sha1$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
		"PBKDF2, long salt":                 "pbkdf2_sha256$1000$" + strings.Repeat("s", 65) + "$" + strings.Repeat("A", 43) + "=",
		"scrypt, cost is no power":          strings.Replace(scryptHash, "$16384$", "$16383$", 1),
		"scrypt, cost 1":                    strings.Replace(scryptHash, "$16384$", "$1$", 1),
		"scrypt, a gigabyte":                strings.Replace(scryptHash, "$16384$", "$1048576$", 1),
		"scrypt, cost overflows":            strings.Replace(scryptHash, "$16384$", "$18446744073709551616$", 1),
		"scrypt, wide blocks":               strings.Replace(scryptHash, "$8$", "$33$", 1),
		"scrypt, many threads":              strings.Replace(scryptHash, "$5$", "$17$", 1),
		"scrypt, no salt":                   strings.Replace(scryptHash, "saltysalt", "", 1),
		"scrypt, short key":                 "scrypt$16384$saltysalt$8$5$AAAA",
		"scrypt, a part more":               scryptHash + "$x",
		"argon2i":                           "$argon2i$v=19$m=256,t=2,p=1" + tail,
		"argon2d":                           "$argon2d$v=19$m=256,t=2,p=1" + tail,
		"no version":                        "$argon2id$m=256,t=2,p=1" + tail,
		"version 16":                        "$argon2id$v=16$m=256,t=2,p=1" + tail,
		"a gigabyte":                        "$argon2id$v=19$m=1048576,t=2,p=1" + tail,
		"most memory":                       "$argon2id$v=19$m=4294967295,t=2,p=1" + tail,
		"memory overflows":                  "$argon2id$v=19$m=4294967552,t=2,p=1" + tail,
		"no memory":                         "$argon2id$v=19$m=0,t=2,p=1" + tail,
		"negative memory":                   "$argon2id$v=19$m=-256,t=2,p=1" + tail,
		"no passes":                         "$argon2id$v=19$m=256,t=0,p=1" + tail,
		"a million passes":                  "$argon2id$v=19$m=256,t=1000000,p=1" + tail,
		"no threads":                        "$argon2id$v=19$m=256,t=2,p=0" + tail,
		"threads overflow":                  "$argon2id$v=19$m=256,t=2,p=257" + tail,
		"order of parameters":               "$argon2id$v=19$t=2,m=256,p=1" + tail,
		"a parameter more":                  "$argon2id$v=19$m=256,t=2,p=1,x=1" + tail,
		"a parameter less":                  "$argon2id$v=19$m=256,t=2" + tail,
		"zeros in front":                    "$argon2id$v=19$m=0256,t=2,p=1" + tail,
		"plus sign":                         "$argon2id$v=19$m=+256,t=2,p=1" + tail,
		"underscore":                        "$argon2id$v=19$m=2_56,t=2,p=1" + tail,
		"short key":                         "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA",
		"no key":                            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
		"long key":                          "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 100_000),
		"short salt":                        "$argon2id$v=19$m=256,t=2,p=1$c29t$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"a part more":                       argonHash + "$x",
		"base64 with padding":               argonHash + "=",
		"not base64":                        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$!!!!!!!!!!!!!!!!!!!!!!!!",
		"PBKDF2, no iterations":             "pbkdf2_sha256$0$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
		"PBKDF2, too many":                  "pbkdf2_sha256$5000001$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
		"PBKDF2, overflow":                  "pbkdf2_sha256$18446744073709551617$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
		"PBKDF2, no salt":                   "pbkdf2_sha256$1000$$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
		"PBKDF2, empty key":                 "pbkdf2_sha256$1000$seasalt$",
		"PBKDF2, short key":                 "pbkdf2_sha256$1000$seasalt$AAAA",
		"PBKDF2, a part more":               pbkdf2Hash + "$x",
		"bcrypt, days":                      strings.Replace(bcryptHash, "$04$", "$31$", 1),
		"bcrypt, seconds":                   strings.Replace(bcryptHash, "$04$", "$16$", 1),
		"bcrypt, cost 3":                    strings.Replace(bcryptHash, "$04$", "$03$", 1),
		"bcrypt 2x":                         strings.Replace(bcryptHash, "2b", "2x", 1),
		"bcrypt, short":                     bcryptHash[:58],
		"bcrypt_sha256 of nothing":          "bcrypt_sha256$",
	} {
		ok, outdated, err := auth.Argon2id{}.Verify(hash, "password")
		if ok || outdated || err == nil {
			t.Errorf("%s: %v, outdated %v, %v", name, ok, outdated, err)
		}
		if (auth.Argon2id{}).Reads(hash) {
			t.Errorf("%s: Reads says yes", name)
		}
	}
}

// The numbers come from the reference implementation; this holds them against
// the primitive itself, so that a typing error here is found out.
func TestArgonVectorIsRight(t *testing.T) {
	if got := argon2.IDKey([]byte("password"), []byte("somesalt"), 2, 256, 1, 32); got[0] != 0x9d || got[31] != 0xfe {
		t.Errorf("key %x", got)
	}
}

// FuzzStoredHash: no stored hash panics, and none matches a password that an
// independent look at it does not explain.
func FuzzStoredHash(f *testing.F) {
	for _, in := range hostileInputs(f, "stored_hash") {
		f.Add(in.text(), "password")
	}
	for _, hash := range []string{pbkdf2Hash, pbkdf2Umlaut, argonHash, "argon2" + argonHash, bcryptHash, bcryptSHA, bcrypt72} {
		f.Add(hash, "password")
		f.Add(hash, "correct horse")
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if costly(hash) {
			return
		}
		ok, outdated, err := auth.Argon2id{}.Verify(hash, password)
		if err != nil && (ok || outdated) || outdated && !ok {
			t.Fatalf("Verify(%q, %q) = %v, %v, %v", hash, password, ok, outdated, err)
		}
		if again, _, err2 := (auth.Argon2id{}).Verify(hash, password); again != ok || (err2 == nil) != (err == nil) {
			t.Fatalf("Verify(%q, %q) does not repeat", hash, password)
		}
		// A hash says yes to one password, not to its neighbours. bcrypt sees
		// 72 bytes of them.
		seesAll := len(password) < 72 || !strings.HasPrefix(strings.TrimPrefix(hash, "bcrypt"), "$2")
		if other, _, _ := (auth.Argon2id{}).Verify(hash, password+"x"); ok && other && seesAll {
			t.Fatalf("%q is of %q and of that with an x", hash, password)
		}
	})
}

// costly reports whether the fuzzer would do nothing else for seconds.
func costly(hash string) bool {
	for _, cheap := range []string{"m=256,t=2,", "$1000$", "$2b$04$", "$2a$04$", "$2y$04$"} {
		if strings.Contains(hash, cheap) {
			return false
		}
	}
	return strings.ContainsAny(hash, "0123456789")
}
