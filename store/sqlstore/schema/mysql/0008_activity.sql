-- compatible: 1

-- The activity stream: acts of management, for people to read. The subject is whom
-- an entry concerns first; the number of its entries is limited.
CREATE TABLE IF NOT EXISTS auth_activities (
	id              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	happened_at     BIGINT NOT NULL,
	operation       VARBINARY(20) NOT NULL,
	object          VARBINARY(20) NOT NULL,
	associated      VARBINARY(20) NOT NULL,
	actor_id        VARBINARY(255) NOT NULL,
	actor           VARBINARY(1024) NOT NULL,
	actor_token_id  BIGINT NOT NULL,
	subject         VARBINARY(300) NOT NULL,
	user_id         VARBINARY(255) NOT NULL,
	user_name       VARBINARY(1024) NOT NULL,
	token_id        BIGINT NOT NULL,
	application_id  BIGINT NOT NULL,
	application     VARBINARY(1024) NOT NULL,
	organization_id BIGINT NOT NULL,
	changes         VARBINARY(16384) NOT NULL,
	KEY auth_activities_time (happened_at, id),
	KEY auth_activities_subject (subject, happened_at, id),
	KEY auth_activities_token (token_id, happened_at, id),
	KEY auth_activities_application (application_id, happened_at, id),
	KEY auth_activities_organization (organization_id, happened_at, id)
) ENGINE = InnoDB;
