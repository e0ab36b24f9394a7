-- compatible: 1

-- The counters of attempts. Programs from before this step go on to count in
-- auth_attempts; a later step drops it.
CREATE TABLE IF NOT EXISTS auth_throttle (
	key_digest BINARY(32) NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	started_at BIGINT NOT NULL,
	ends_at    BIGINT NOT NULL,
	used       BIGINT NOT NULL,
	behind_at  BIGINT, -- what a clock far behind started_at showed when it first met it
	KEY auth_throttle_ends (ends_at)
) ENGINE = InnoDB;

-- Keys that are remembered until an instant, such as the networks from which a
-- user logged in.
CREATE TABLE IF NOT EXISTS auth_memories (
	key_digest   BINARY(32) NOT NULL PRIMARY KEY, -- SHA-256, for keys may be long
	group_digest BINARY(32) NOT NULL,
	until_at     BIGINT NOT NULL,
	KEY auth_memories_group (group_digest, until_at),
	KEY auth_memories_until (until_at)
) ENGINE = InnoDB;
