-- The tables of AWX 24.6.1 that an import reads, with the columns that it has there.
-- @recent and @used are dates in the last month.
CREATE TABLE django_migrations (id bigint PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamp with time zone NOT NULL);

CREATE TABLE auth_user (id integer PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamp with time zone, is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE, first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL, is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamp with time zone NOT NULL);

CREATE TABLE main_profile (id integer PRIMARY KEY, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL, ldap_dn varchar(1024) NOT NULL, user_id integer NOT NULL UNIQUE, is_system_auditor boolean NOT NULL);

CREATE TABLE main_organization (id integer PRIMARY KEY, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL, name varchar(512) NOT NULL UNIQUE, description text NOT NULL, admin_role_id integer, member_role_id integer, auditor_role_id integer);

CREATE TABLE main_rbac_roles (id integer PRIMARY KEY, role_field text NOT NULL, singleton_name text UNIQUE, content_type_id integer, object_id integer, implicit_parents text NOT NULL);

CREATE TABLE main_rbac_roles_members (id integer PRIMARY KEY, role_id integer NOT NULL, user_id integer NOT NULL);

CREATE TABLE main_oauth2application (id bigint PRIMARY KEY, client_id varchar(100) NOT NULL UNIQUE, redirect_uris text NOT NULL, client_type varchar(32) NOT NULL, authorization_grant_type varchar(32) NOT NULL, client_secret varchar(1024) NOT NULL, name varchar(255) NOT NULL, skip_authorization boolean NOT NULL, created timestamp with time zone NOT NULL, updated timestamp with time zone NOT NULL, description text NOT NULL, logo_data text NOT NULL, organization_id integer, user_id integer, algorithm varchar(5) NOT NULL, post_logout_redirect_uris text NOT NULL, UNIQUE (name, organization_id));

CREATE TABLE main_oauth2accesstoken (id bigint PRIMARY KEY, token varchar(255) NOT NULL UNIQUE, expires timestamp with time zone NOT NULL, scope text NOT NULL, created timestamp with time zone NOT NULL, updated timestamp with time zone NOT NULL, description text NOT NULL, last_used timestamp with time zone, application_id bigint, user_id integer, source_refresh_token_id bigint UNIQUE, modified timestamp with time zone NOT NULL, id_token_id bigint UNIQUE);

CREATE TABLE oauth2_provider_refreshtoken (id bigint PRIMARY KEY, token varchar(255) NOT NULL, access_token_id bigint UNIQUE, application_id bigint NOT NULL, user_id integer NOT NULL, created timestamp with time zone NOT NULL, updated timestamp with time zone NOT NULL, revoked timestamp with time zone, UNIQUE (token, revoked));

CREATE TABLE oauth2_provider_grant (id bigint PRIMARY KEY, code varchar(255) NOT NULL UNIQUE);

CREATE TABLE conf_setting (id integer PRIMARY KEY, created timestamp with time zone NOT NULL, modified timestamp with time zone NOT NULL, key varchar(255) NOT NULL, value text, user_id integer);

INSERT INTO django_migrations VALUES (1, 'contenttypes', '0001_initial', '2019-03-01 10:00:00.123456+00'), (2, 'auth', '0001_initial', '2019-03-01 10:00:01+00');

-- The passwords are "correct horse".
INSERT INTO auth_user VALUES
	(1, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, true, 'admin', 'Ada', 'Admin', 'admin@example.org', true, true, '2020-01-02 03:04:05.678901+00'),
	(2, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, false, 'auditor', '', '', '', false, true, '2020-01-02 03:04:06+00'),
	(3, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, false, 'alice', '', '', 'alice@example.org', false, true, '2021-01-01 00:00:00+00'),
	(4, '!KxjMJD7mLdap', NULL, false, 'ldapuser', '', '', '', false, true, '2021-01-01 00:00:00+00'),
	(5, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, false, 'Alice', '', '', '', false, true, '2021-01-01 00:00:00+00'),
	(9, 'pbkdf2_sha256$1000$QkV5c2FsdDEyMzQ1Njc4OTAx$ci3bAL4Ix1j40CN6cwNl+3eM/Q3N41eGcz8SSEDbZl0=', NULL, false, 'profileauditor', '', '', '', false, true, '2021-01-01 00:00:00+00');

INSERT INTO main_profile VALUES (1, '2020-01-02 03:04:05+00', '2020-01-02 03:04:05+00', 'uid=ldapuser,dc=example', 4, false), (2, '2020-01-02 03:04:05+00', '2020-01-02 03:04:05+00', '', 9, true);

INSERT INTO main_rbac_roles VALUES (1, 'system_administrator', 'system_administrator', NULL, NULL, '[]'), (2, 'system_auditor', 'system_auditor', NULL, NULL, '[]'), (3, 'admin_role', NULL, 5, 1, '[]'), (4, 'member_role', NULL, 5, 1, '[]'), (5, 'admin_role', NULL, 5, 2, '[]'), (6, 'member_role', NULL, 5, 2, '[]');

INSERT INTO main_organization VALUES (1, '2020-01-01 00:00:00+00', '2020-01-01 00:00:00+00', 'Default', '', 3, 4, NULL), (2, '2020-01-01 00:00:00+00', '2020-01-01 00:00:00+00', 'Research, "R"', '', 5, 6, NULL);

INSERT INTO main_rbac_roles_members VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 5), (5, 6, 3);

INSERT INTO main_oauth2application VALUES
	(3, 'awxWebClientIdentifier0000000000000000001', 'https://app.example/cb', 'confidential', 'authorization-code', 'clear-secret-of-an-old-version', 'web', true, '2021-02-02 00:00:00+00', '2021-03-03 00:00:00+00', 'The web application', '', 2, NULL, '', ''),
	(4, 'awxCliClientIdentifier0000000000000000002', '', 'public', 'password', 'never used', 'cli', false, '2021-02-02 00:00:00+00', '2021-03-03 00:00:00+00', '', '', 1, 1, '', '');

INSERT INTO main_oauth2accesstoken VALUES
	(10, 'abcdefghijABCDEFGHIJ0123456789', '3021-01-01 00:00:00+00', 'write', '2021-05-05 00:00:00+00', '2021-05-05 00:00:00+00', 'nightly backup', '@used', NULL, 3, NULL, '2021-06-06 00:00:00+00', NULL),
	(11, 'webaccess1ABCDEFGHIJ0123456789', '3021-01-01 00:00:00+00', 'read write', '@recent', '@recent', '', NULL, 3, 3, NULL, '@recent', NULL),
	(12, 'cliaccess1ABCDEFGHIJ0123456789', '3021-01-01 00:00:00+00', 'read', '@recent', '@recent', '', NULL, 4, 5, NULL, '@recent', NULL),
	(13, 'oldaccess1ABCDEFGHIJ0123456789', '3021-01-01 00:00:00+00', 'read', '2021-05-05 00:00:00+00', '2021-05-05 00:00:00+00', '', NULL, 3, 3, NULL, '2021-05-05 00:00:00+00', NULL),
	(14, 'expired001ABCDEFGHIJ0123456789', '2022-01-01 00:00:00+00', 'read', '2021-05-05 00:00:00+00', '2021-05-05 00:00:00+00', '', NULL, NULL, 3, NULL, '2021-05-05 00:00:00+00', NULL);

INSERT INTO oauth2_provider_refreshtoken VALUES
	(21, 'webrefreshABCDEFGHIJ0123456789', 11, 3, 3, '@recent', '@recent', NULL),
	(22, 'clirefreshABCDEFGHIJ0123456789', 12, 4, 5, '@recent', '@recent', NULL),
	(23, 'oldrefreshABCDEFGHIJ0123456789', 13, 3, 3, '2021-05-05 00:00:00+00', '2021-05-05 00:00:00+00', NULL),
	(24, 'orphan0001ABCDEFGHIJ0123456789', NULL, 3, 3, '@recent', '@recent', NULL),
	(25, 'revoked001ABCDEFGHIJ0123456789', NULL, 3, 3, '@recent', '@recent', '@recent');

INSERT INTO conf_setting VALUES
	(1, '2020-01-01 00:00:00+00', '2020-01-01 00:00:00+00', 'SESSIONS_PER_USER', '5', NULL),
	(2, '2020-01-01 00:00:00+00', '2020-01-01 00:00:00+00', 'OAUTH2_PROVIDER', '{"ACCESS_TOKEN_EXPIRE_SECONDS": 31536000000, "AUTHORIZATION_CODE_EXPIRE_SECONDS": 600, "REFRESH_TOKEN_EXPIRE_SECONDS": 2628000}', NULL),
	(3, '2020-01-01 00:00:00+00', '2020-01-01 00:00:00+00', 'REDHAT_PASSWORD', '"$encrypted$never shown"', NULL);
