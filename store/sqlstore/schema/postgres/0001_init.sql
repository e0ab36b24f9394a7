-- Times are microseconds since 1970 in UTC, NULL for never. Digests are the 32
-- raw bytes of a SHA-256. Text is compared byte for byte. No foreign keys: users
-- may live elsewhere, and what was revoked outlives what it belonged to.

-- Rows to lock, for steps that concern rows which do not exist yet.
CREATE TABLE auth_locks (
	slot BIGINT NOT NULL PRIMARY KEY
);

INSERT INTO auth_locks (slot)
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 255)
SELECT n FROM numbers;

-- The last number given to a user.
CREATE TABLE auth_counters (
	name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	last_id BIGINT NOT NULL
);

INSERT INTO auth_counters (name, last_id) VALUES ('users', 0);

CREATE TABLE auth_users (
	id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	id_number     BIGINT NOT NULL,
	name          TEXT COLLATE "C" NOT NULL UNIQUE,
	email         TEXT COLLATE "C" NOT NULL,
	first_name    TEXT COLLATE "C" NOT NULL,
	last_name     TEXT COLLATE "C" NOT NULL,
	is_admin      BOOLEAN NOT NULL,
	is_auditor    BOOLEAN NOT NULL,
	is_active     BOOLEAN NOT NULL,
	epoch         BIGINT NOT NULL,
	password_hash TEXT COLLATE "C" NOT NULL,
	created_at    BIGINT NOT NULL,
	revision      BIGINT NOT NULL
);

CREATE INDEX auth_users_number ON auth_users (id_number, id);

CREATE TABLE auth_applications (
	id                    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	client_id             TEXT COLLATE "C" NOT NULL UNIQUE,
	secret                BYTEA,
	old_secret            BYTEA,
	old_secret_expires_at BIGINT,
	name                  TEXT COLLATE "C" NOT NULL,
	description           TEXT COLLATE "C" NOT NULL,
	organization_id       BIGINT NOT NULL,
	confidential          BOOLEAN NOT NULL,
	grant_type            TEXT COLLATE "C" NOT NULL,
	redirect_uris         TEXT COLLATE "C" NOT NULL, -- a JSON list
	skip_consent          BOOLEAN NOT NULL,
	created_at            BIGINT NOT NULL,
	modified_at           BIGINT NOT NULL,
	revision              BIGINT NOT NULL,
	UNIQUE (organization_id, name)
);

CREATE TABLE auth_tokens (
	id                 BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	digest             BYTEA NOT NULL UNIQUE,
	user_id            TEXT COLLATE "C" NOT NULL,
	application_id     BIGINT NOT NULL,
	parent_id          BIGINT NOT NULL,
	family             BIGINT NOT NULL,
	scopes             TEXT COLLATE "C" NOT NULL,
	audience           TEXT COLLATE "C" NOT NULL,
	addresses          TEXT COLLATE "C" NOT NULL, -- prefixes, separated by spaces
	epoch              BIGINT NOT NULL,
	description        TEXT COLLATE "C" NOT NULL,
	created_at         BIGINT NOT NULL,
	modified_at        BIGINT NOT NULL,
	expires_at         BIGINT NOT NULL,
	last_used_at       BIGINT,
	revoked_at         BIGINT,
	refresh_digest     BYTEA UNIQUE,
	refresh_scopes     TEXT COLLATE "C" NOT NULL,
	refresh_expires_at BIGINT,
	grant_expires_at   BIGINT,
	refresh_spent_at   BIGINT,
	refresh_nonce      BYTEA,
	successor_id       BIGINT NOT NULL, -- what the refresh token was spent for, 0 for nothing
	minted             BOOLEAN NOT NULL, -- there may be tokens whose parent it is
	ends_at            BIGINT NOT NULL, -- when nothing of it is of use any more
	revision           BIGINT NOT NULL
);

CREATE INDEX auth_tokens_user ON auth_tokens (user_id, id);
CREATE INDEX auth_tokens_application ON auth_tokens (application_id, id);
CREATE INDEX auth_tokens_parent ON auth_tokens (parent_id);
CREATE INDEX auth_tokens_family ON auth_tokens (family);
CREATE INDEX auth_tokens_ends ON auth_tokens (ends_at);

CREATE TABLE auth_codes (
	digest         BYTEA NOT NULL PRIMARY KEY,
	application_id BIGINT NOT NULL,
	user_id        TEXT COLLATE "C" NOT NULL,
	scopes         TEXT COLLATE "C" NOT NULL,
	audience       TEXT COLLATE "C" NOT NULL,
	epoch          BIGINT NOT NULL,
	redirect_uri   TEXT COLLATE "C" NOT NULL,
	challenge      TEXT COLLATE "C" NOT NULL,
	created_at     BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL,
	spent_at       BIGINT,
	family         BIGINT NOT NULL
);

CREATE INDEX auth_codes_user ON auth_codes (user_id, expires_at);
CREATE INDEX auth_codes_application ON auth_codes (application_id);
CREATE INDEX auth_codes_expires ON auth_codes (expires_at);

CREATE TABLE auth_devices (
	digest         BYTEA NOT NULL PRIMARY KEY,
	user_code      BYTEA NOT NULL UNIQUE,
	application_id BIGINT NOT NULL,
	scopes         TEXT COLLATE "C" NOT NULL,
	audience       TEXT COLLATE "C" NOT NULL,
	created_at     BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL,
	poll_interval  BIGINT NOT NULL, -- microseconds
	polled_at      BIGINT,
	decision       BIGINT NOT NULL, -- 0 none, 1 approved, 2 denied
	user_id        TEXT COLLATE "C" NOT NULL,
	epoch          BIGINT NOT NULL,
	spent_at       BIGINT,
	family         BIGINT NOT NULL
);

CREATE INDEX auth_devices_application ON auth_devices (application_id);
CREATE INDEX auth_devices_user ON auth_devices (user_id);
CREATE INDEX auth_devices_expires ON auth_devices (expires_at);

CREATE TABLE auth_sessions (
	id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	digest     BYTEA NOT NULL UNIQUE,
	user_id    TEXT COLLATE "C" NOT NULL,
	epoch      BIGINT NOT NULL,
	data       BYTEA,
	created_at BIGINT NOT NULL,
	seen_at    BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at   BIGINT,
	reason     TEXT COLLATE "C" NOT NULL,
	gone_at    BIGINT NOT NULL, -- when it ended or will expire
	revision   BIGINT NOT NULL
);

CREATE INDEX auth_sessions_user ON auth_sessions (user_id, created_at);
CREATE INDEX auth_sessions_gone ON auth_sessions (gone_at);

CREATE TABLE auth_attempts (
	key_digest BYTEA NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	started_at BIGINT NOT NULL,
	ends_at    BIGINT NOT NULL,
	used       BIGINT NOT NULL
);

CREATE INDEX auth_attempts_ends ON auth_attempts (ends_at);
