-- Times are microseconds since 1970 in UTC, NULL for never. Digests are the 32
-- raw bytes of a SHA-256. Text is binary, to be compared byte for byte: even the
-- _bin collations ignore spaces at the end. No foreign keys: users may live
-- elsewhere, and what was revoked outlives what it belonged to. Every statement
-- commits by itself here, so all of them can be repeated.

-- Rows to lock, for steps that concern rows which do not exist yet.
CREATE TABLE IF NOT EXISTS auth_locks (
	slot BIGINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

INSERT IGNORE INTO auth_locks (slot)
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 255)
SELECT n FROM numbers;

-- The last number given to a user.
CREATE TABLE IF NOT EXISTS auth_counters (
	name    VARBINARY(255) NOT NULL PRIMARY KEY,
	last_id BIGINT NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO auth_counters (name, last_id) VALUES ('users', 0);

CREATE TABLE IF NOT EXISTS auth_users (
	id            VARBINARY(255) NOT NULL PRIMARY KEY,
	id_number     BIGINT NOT NULL,
	name          VARBINARY(1024) NOT NULL UNIQUE,
	email         VARBINARY(1024) NOT NULL,
	first_name    VARBINARY(1024) NOT NULL,
	last_name     VARBINARY(1024) NOT NULL,
	is_admin      BOOLEAN NOT NULL,
	is_auditor    BOOLEAN NOT NULL,
	is_active     BOOLEAN NOT NULL,
	epoch         BIGINT NOT NULL,
	password_hash VARBINARY(1024) NOT NULL,
	created_at    BIGINT NOT NULL,
	revision      BIGINT NOT NULL,
	KEY auth_users_number (id_number, id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_applications (
	id                    BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	client_id             VARBINARY(255) NOT NULL UNIQUE,
	secret                BINARY(32),
	old_secret            BINARY(32),
	old_secret_expires_at BIGINT,
	name                  VARBINARY(1024) NOT NULL,
	description           MEDIUMBLOB NOT NULL,
	organization_id       BIGINT NOT NULL,
	confidential          BOOLEAN NOT NULL,
	grant_type            VARBINARY(255) NOT NULL,
	redirect_uris         MEDIUMBLOB NOT NULL, -- a JSON list
	skip_consent          BOOLEAN NOT NULL,
	created_at            BIGINT NOT NULL,
	modified_at           BIGINT NOT NULL,
	revision              BIGINT NOT NULL,
	UNIQUE (organization_id, name)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_tokens (
	id                 BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	digest             BINARY(32) NOT NULL UNIQUE,
	user_id            VARBINARY(255) NOT NULL,
	application_id     BIGINT NOT NULL,
	parent_id          BIGINT NOT NULL,
	family             BIGINT NOT NULL,
	scopes             MEDIUMBLOB NOT NULL,
	audience           MEDIUMBLOB NOT NULL,
	addresses          MEDIUMBLOB NOT NULL, -- prefixes, separated by spaces
	epoch              BIGINT NOT NULL,
	description        MEDIUMBLOB NOT NULL,
	created_at         BIGINT NOT NULL,
	modified_at        BIGINT NOT NULL,
	expires_at         BIGINT NOT NULL,
	last_used_at       BIGINT,
	revoked_at         BIGINT,
	refresh_digest     BINARY(32) UNIQUE,
	refresh_scopes     MEDIUMBLOB NOT NULL,
	refresh_expires_at BIGINT,
	grant_expires_at   BIGINT,
	refresh_spent_at   BIGINT,
	refresh_nonce      BINARY(32),
	successor_id       BIGINT NOT NULL, -- what the refresh token was spent for, 0 for nothing
	minted             BOOLEAN NOT NULL, -- there may be tokens whose parent it is
	ends_at            BIGINT NOT NULL, -- when nothing of it is of use any more
	revision           BIGINT NOT NULL,
	KEY auth_tokens_user (user_id, id),
	KEY auth_tokens_application (application_id, id),
	KEY auth_tokens_parent (parent_id),
	KEY auth_tokens_family (family),
	KEY auth_tokens_ends (ends_at)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_codes (
	digest         BINARY(32) NOT NULL PRIMARY KEY,
	application_id BIGINT NOT NULL,
	user_id        VARBINARY(255) NOT NULL,
	scopes         MEDIUMBLOB NOT NULL,
	audience       MEDIUMBLOB NOT NULL,
	epoch          BIGINT NOT NULL,
	redirect_uri   MEDIUMBLOB NOT NULL,
	challenge      VARBINARY(1024) NOT NULL,
	created_at     BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL,
	spent_at       BIGINT,
	family         BIGINT NOT NULL,
	KEY auth_codes_user (user_id, expires_at),
	KEY auth_codes_application (application_id),
	KEY auth_codes_expires (expires_at)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_devices (
	digest         BINARY(32) NOT NULL PRIMARY KEY,
	user_code      BINARY(32) NOT NULL UNIQUE,
	application_id BIGINT NOT NULL,
	scopes         MEDIUMBLOB NOT NULL,
	audience       MEDIUMBLOB NOT NULL,
	created_at     BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL,
	poll_interval  BIGINT NOT NULL, -- microseconds
	polled_at      BIGINT,
	decision       BIGINT NOT NULL, -- 0 none, 1 approved, 2 denied
	user_id        VARBINARY(255) NOT NULL,
	epoch          BIGINT NOT NULL,
	spent_at       BIGINT,
	family         BIGINT NOT NULL,
	KEY auth_devices_application (application_id),
	KEY auth_devices_user (user_id),
	KEY auth_devices_expires (expires_at)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_sessions (
	id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	digest     BINARY(32) NOT NULL UNIQUE,
	user_id    VARBINARY(255) NOT NULL,
	epoch      BIGINT NOT NULL,
	data       LONGBLOB,
	created_at BIGINT NOT NULL,
	seen_at    BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at   BIGINT,
	reason     VARBINARY(255) NOT NULL,
	gone_at    BIGINT NOT NULL, -- when it ended or will expire
	revision   BIGINT NOT NULL,
	KEY auth_sessions_user (user_id, created_at),
	KEY auth_sessions_gone (gone_at)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS auth_attempts (
	key_digest BINARY(32) NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	started_at BIGINT NOT NULL,
	ends_at    BIGINT NOT NULL,
	used       BIGINT NOT NULL,
	KEY auth_attempts_ends (ends_at)
) ENGINE = InnoDB;
