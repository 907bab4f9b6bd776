-- +goose Up

-- staff: who may sign in to the Backoffice. One account is the controller's
-- own (staff), each of its customers has one more.
create table account (
	id         text        primary key,
	kind       text        not null check (kind in ('staff', 'customer')),
	number     text        not null unique,
	name       text        not null,
	state      text        not null check (state in ('open', 'closed')),
	created_at timestamptz not null
);

-- profile (name and e-mail address) is sealed with the user's own key. A user
-- without a password is invited; pw_epoch ends every session begun before it rose.
create table staff_user (
	id          text        primary key,
	account     text        not null references account (id),
	user_name   text        not null,
	login       text        not null,
	profile     bytea       not null,
	state       text        not null check (state in ('invited', 'active', 'disabled')),
	password    text,
	pw_epoch    bigint      not null check (pw_epoch >= 0),
	mfa         text        not null check (mfa in ('none', 'totp')),
	totp_sealed bytea,
	totp_step   bigint      not null default 0,
	created_at  timestamptz not null,
	signed_in_at timestamptz,
	unique (account, login),
	check (state <> 'active' or password is not null),
	check ((mfa = 'totp') = (totp_sealed is not null))
);

create table staff_role (
	user_id text not null references staff_user (id),
	role    text not null check (role in ('admin', 'staff', 'viewer', 'user')),
	primary key (user_id, role)
);

-- Only hashes of tokens are kept.
create table staff_session (
	id         text        primary key,
	h          text        not null unique,
	user_id    text        not null references staff_user (id),
	pw_epoch   bigint      not null,
	created_at timestamptz not null,
	seen_at    timestamptz not null
);
create index staff_session_user on staff_session (user_id);
create index staff_session_seen on staff_session (seen_at);

-- Links with which a user sets a password, once.
create table staff_link (
	h          text        primary key,
	user_id    text        not null references staff_user (id),
	expires_at timestamptz not null
);
create index staff_link_user on staff_link (user_id);

-- Failed sign-ins, by keyed hash of what is limited: a user of an account, a
-- network, everybody.
create table sign_in_limit (
	h        text        primary key,
	tries    bigint      not null check (tries >= 0),
	tried_at timestamptz not null,
	until    timestamptz not null
);
create index sign_in_limit_time on sign_in_limit (tried_at);

-- What was done in the Backoffice, by user ids.
create table audit (
	id      text        primary key,
	at      timestamptz not null,
	user_id text        not null,
	account text        not null,
	act     text        not null,
	object  text        not null,
	outcome text        not null check (outcome in ('ok', 'failed', 'denied'))
);
create index audit_time on audit (at, id);
create index audit_user on audit (user_id, at);
