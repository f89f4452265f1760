-- A shop: some 200 MB with everything that a dump can get wrong. Foreign keys, generated columns, a view, a function and a
-- trigger; unicode; binary in rows and in large objects; owners and rights. Variable `backup_password`: of the role
-- that backs up.
\set ON_ERROR_STOP on
set client_min_messages = warning;

-- What an attempt left that was interrupted.
drop database if exists shop with (force);
drop role if exists shop_owner, backup;

create role shop_owner;
create role backup login password :'backup_password';
-- All that a backup needs: reading. (Large objects have rights of their own, below.)
grant pg_read_all_data to backup;

create database shop template template0 encoding 'UTF8' locale_provider builtin builtin_locale 'C.UTF-8';
\connect shop
set client_min_messages = warning;

create schema shop authorization shop_owner;
set role shop_owner;
set search_path = shop;

create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique,
  notes text,
  born date,
  tags text[] not null default '{}'
);
create table products (
  sku text primary key,
  title jsonb not null,
  price numeric(12, 2) not null check (price >= 0)
);
create table orders (
  id bigint generated always as identity primary key,
  customer bigint not null references customers,
  ordered timestamptz not null,
  shipped tstzrange,
  state text not null check (state in ('new', 'paid', 'shipped', 'zurück', '取消'))
);
create table order_items (
  order_id bigint not null references orders on delete cascade,
  line int not null,
  sku text not null references products,
  quantity int not null,
  price numeric(12, 2) not null,
  total numeric(14, 2) generated always as (quantity * price) stored,
  primary key (order_id, line)
);
create table invoices (
  order_id bigint primary key references orders,
  pdf bytea not null
);
create table manuals (
  sku text primary key references products,
  document oid not null
);
create table "Weird ""Name"" 🐘" (
  "select" int,
  "with space" text,
  nothing text
);

insert into customers (name, email, notes, born, tags)
select
  (array['Zoë', 'Øyvind', 'Łukasz', '小明', 'Мария', 'علي', 'O''Brien', 'Nguyễn'])[1 + n % 8] || ' ' || n,
  'customer' || n || '@example.com',
  case n % 5 when 0 then null when 1 then '' when 2 then E'two\nlines, a\ttab and a \\ backslash'
    when 3 then '$(rm -rf /) `id` ''; drop table orders; --' else repeat('🦀🐘', n % 7) end,
  date '1940-01-01' + n % 25000,
  array['tier-' || n % 3, '"quoted", {braces}']
from generate_series(1, 50000) n;

insert into products
select 'SKU-' || n, jsonb_build_object('en', 'Thing ' || n, 'de', 'Ding № ' || n, 'ja', '物' || n), (n * 7919 % 100000) / 100.0
from generate_series(1, 2000) n;

insert into orders (customer, ordered, shipped, state)
select 1 + n * 7 % 50000, timestamptz '2024-01-01 00:00:00+00' + n * interval '211 seconds',
  case when n % 3 = 0 then tstzrange(timestamptz '2024-01-02' + n * interval '211 seconds', null) end,
  (array['new', 'paid', 'shipped', 'zurück', '取消'])[1 + n % 5]
from generate_series(1, 200000) n;

insert into order_items (order_id, line, sku, quantity, price)
select o, line, 'SKU-' || 1 + (o * 31 + line * 17) % 2000, 1 + (o + line) % 9, ((o * 13 + line * 7) % 50000) / 100.0
from generate_series(1, 200000) o, generate_series(1, 3) line;

-- Random, so that compression has no easy life: 60 MB.
insert into invoices
select o * 50, (select string_agg(uuid_send(gen_random_uuid()), ''::bytea) from generate_series(1, 940 + o % 2))
from generate_series(1, 4000) o;

insert into manuals
select 'SKU-' || n, lo_from_bytea(0, (select string_agg(uuid_send(gen_random_uuid()), ''::bytea) from generate_series(1, 65536 + n)))
from generate_series(1, 8) n;
-- The role that backs up reads every table by pg_read_all_data, but large objects only when told so.
select format('grant select on large object %s to backup', document) from manuals order by sku \gexec

insert into "Weird ""Name"" 🐘" values (1, E'\u00e9 and e\u0301 differ', null), (2, '', ''), (null, '\N', '\.');

create index on orders (customer, ordered);
create index on customers using gin (tags);
create view revenue as select date_trunc('month', ordered) as month, sum(total) as total from orders join order_items on order_id = id group by 1;
create function touch() returns trigger language plpgsql as $$ begin new.ordered := coalesce(new.ordered, now()); return new; end $$;
create trigger touch before insert on orders for each row execute function touch();
comment on table orders is 'Who bought what; „quotes“ and a 🦀 in a comment.';

reset role;
comment on database shop is 'loaded';
