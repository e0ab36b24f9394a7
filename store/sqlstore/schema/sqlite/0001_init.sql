-- Times are microseconds since 1970 in UTC, NULL for never. Digests are the 32
-- raw bytes of a SHA-256. Text is compared byte for byte. No foreign keys: users
-- may live elsewhere, and what was revoked outlives what it belonged to.

-- Rows to lock, for steps that concern rows which do not exist yet.
CREATE TABLE auth_locks (
	slot INTEGER PRIMARY KEY
);

INSERT INTO auth_locks (slot)
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 255)
SELECT n FROM numbers;

-- The last number given to a user.
CREATE TABLE auth_counters (
	name    TEXT    NOT NULL PRIMARY KEY,
	last_id INTEGER NOT NULL
);

INSERT INTO auth_counters (name, last_id) VALUES ('users', 0);

CREATE TABLE auth_users (
	id            TEXT    NOT NULL PRIMARY KEY,
	id_number     INTEGER NOT NULL,
	name          TEXT    NOT NULL UNIQUE,
	email         TEXT    NOT NULL,
	first_name    TEXT    NOT NULL,
	last_name     TEXT    NOT NULL,
	is_admin      BOOLEAN NOT NULL,
	is_auditor    BOOLEAN NOT NULL,
	is_active     BOOLEAN NOT NULL,
	epoch         INTEGER NOT NULL,
	password_hash TEXT    NOT NULL,
	created_at    INTEGER NOT NULL,
	revision      INTEGER NOT NULL
);

CREATE INDEX auth_users_number ON auth_users (id_number, id);

CREATE TABLE auth_applications (
	id                    INTEGER PRIMARY KEY AUTOINCREMENT,
	client_id             TEXT    NOT NULL UNIQUE,
	secret                BLOB,
	old_secret            BLOB,
	old_secret_expires_at INTEGER,
	name                  TEXT    NOT NULL,
	description           TEXT    NOT NULL,
	organization_id       INTEGER NOT NULL,
	confidential          BOOLEAN NOT NULL,
	grant_type            TEXT    NOT NULL,
	redirect_uris         TEXT    NOT NULL, -- a JSON list
	skip_consent          BOOLEAN NOT NULL,
	created_at            INTEGER NOT NULL,
	modified_at           INTEGER NOT NULL,
	revision              INTEGER NOT NULL,
	UNIQUE (organization_id, name)
);

CREATE TABLE auth_tokens (
	id                 INTEGER PRIMARY KEY AUTOINCREMENT,
	digest             BLOB    NOT NULL UNIQUE,
	user_id            TEXT    NOT NULL,
	application_id     INTEGER NOT NULL,
	parent_id          INTEGER NOT NULL,
	family             INTEGER NOT NULL,
	scopes             TEXT    NOT NULL,
	audience           TEXT    NOT NULL,
	addresses          TEXT    NOT NULL, -- prefixes, separated by spaces
	epoch              INTEGER NOT NULL,
	description        TEXT    NOT NULL,
	created_at         INTEGER NOT NULL,
	modified_at        INTEGER NOT NULL,
	expires_at         INTEGER NOT NULL,
	last_used_at       INTEGER,
	revoked_at         INTEGER,
	refresh_digest     BLOB    UNIQUE,
	refresh_scopes     TEXT    NOT NULL,
	refresh_expires_at INTEGER,
	grant_expires_at   INTEGER,
	refresh_spent_at   INTEGER,
	refresh_nonce      BLOB,
	successor_id       INTEGER NOT NULL, -- what the refresh token was spent for, 0 for nothing
	minted             BOOLEAN NOT NULL, -- there may be tokens whose parent it is
	ends_at            INTEGER NOT NULL, -- when nothing of it is of use any more
	revision           INTEGER NOT NULL
);

CREATE INDEX auth_tokens_user ON auth_tokens (user_id, id);
CREATE INDEX auth_tokens_application ON auth_tokens (application_id, id);
CREATE INDEX auth_tokens_parent ON auth_tokens (parent_id);
CREATE INDEX auth_tokens_family ON auth_tokens (family);
CREATE INDEX auth_tokens_ends ON auth_tokens (ends_at);

CREATE TABLE auth_codes (
	digest         BLOB    NOT NULL PRIMARY KEY,
	application_id INTEGER NOT NULL,
	user_id        TEXT    NOT NULL,
	scopes         TEXT    NOT NULL,
	audience       TEXT    NOT NULL,
	epoch          INTEGER NOT NULL,
	redirect_uri   TEXT    NOT NULL,
	challenge      TEXT    NOT NULL,
	created_at     INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL,
	spent_at       INTEGER,
	family         INTEGER NOT NULL
);

CREATE INDEX auth_codes_user ON auth_codes (user_id, expires_at);
CREATE INDEX auth_codes_application ON auth_codes (application_id);
CREATE INDEX auth_codes_expires ON auth_codes (expires_at);

CREATE TABLE auth_devices (
	digest         BLOB    NOT NULL PRIMARY KEY,
	user_code      BLOB    NOT NULL UNIQUE,
	application_id INTEGER NOT NULL,
	scopes         TEXT    NOT NULL,
	audience       TEXT    NOT NULL,
	created_at     INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL,
	poll_interval  INTEGER NOT NULL, -- microseconds
	polled_at      INTEGER,
	decision       INTEGER NOT NULL, -- 0 none, 1 approved, 2 denied
	user_id        TEXT    NOT NULL,
	epoch          INTEGER NOT NULL,
	spent_at       INTEGER,
	family         INTEGER NOT NULL
);

CREATE INDEX auth_devices_application ON auth_devices (application_id);
CREATE INDEX auth_devices_user ON auth_devices (user_id);
CREATE INDEX auth_devices_expires ON auth_devices (expires_at);

CREATE TABLE auth_sessions (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	digest     BLOB    NOT NULL UNIQUE,
	user_id    TEXT    NOT NULL,
	epoch      INTEGER NOT NULL,
	data       BLOB,
	created_at INTEGER NOT NULL,
	seen_at    INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	ended_at   INTEGER,
	reason     TEXT    NOT NULL,
	gone_at    INTEGER NOT NULL, -- when it ended or will expire
	revision   INTEGER NOT NULL
);

CREATE INDEX auth_sessions_user ON auth_sessions (user_id, created_at);
CREATE INDEX auth_sessions_gone ON auth_sessions (gone_at);

CREATE TABLE auth_attempts (
	key_digest BLOB    NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	started_at INTEGER NOT NULL,
	ends_at    INTEGER NOT NULL,
	used       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX auth_attempts_ends ON auth_attempts (ends_at);
