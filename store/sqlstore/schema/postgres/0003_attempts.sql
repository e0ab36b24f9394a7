-- compatible: 1

-- The counters of attempts. Programs from before this step go on to count in
-- auth_attempts; a later step drops it.
CREATE TABLE auth_throttle (
	key_digest BYTEA  NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	started_at BIGINT NOT NULL,
	ends_at    BIGINT NOT NULL,
	used       BIGINT NOT NULL,
	behind_at  BIGINT -- what a clock far behind started_at showed when it first met it
);

CREATE INDEX auth_throttle_ends ON auth_throttle (ends_at);

-- Keys that are remembered until an instant, such as the networks from which a
-- user logged in.
CREATE TABLE auth_memories (
	key_digest   BYTEA  NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	group_digest BYTEA  NOT NULL,
	until_at     BIGINT NOT NULL
);

CREATE INDEX auth_memories_group ON auth_memories (group_digest, until_at);

CREATE INDEX auth_memories_until ON auth_memories (until_at);
