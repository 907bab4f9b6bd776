-- +goose Up
-- Declarations as they were published. The highest number whose effective_at
-- has passed is in force; a row is never changed or deleted.
create table declaration_version (
	number         bigint      primary key check (number > 0),
	hash           text        not null unique,
	source_name    text        not null,
	source         bytea       not null,
	content_sha256 text        not null,
	files          text        not null,
	author         text        not null,
	class          text        not null check (class in ('first', 'A', 'B', 'C')),
	note           text        not null,
	published_at   timestamptz not null,
	effective_at   timestamptz not null
);

-- What people were shown under a version, byte for byte (Art. 5(2), 7(1)).
create table shown (
	version  bigint not null references declaration_version (number),
	document text   not null,
	lang     text   not null,
	format   text   not null,
	sha256   text   not null,
	content  bytea  not null,
	primary key (version, document, lang, format)
);

-- Styles and logos are addressed by what they contain.
create index shown_sha256 on shown (sha256);
