"""The steps by which trackers share the queue: who is there, whose claims have ended, what is no longer kept.

The keys are those of ``redis_scripts``.
"""

from __future__ import annotations

from .redis_scripts import COMMON, GUARD
from .redis_server import Script

JOIN = Script(
    COMMON
    + """
-- name, process, partitions, microseconds after which a tracker without a sign of life is not there, new epoch
-- returns: 'refused', the other's name, microseconds since its sign of life, its number of partitions
--      or: 'joined', epoch, given_up, specifications, last sign of life before an unclean stop or '',
--          numbers of other layouts, 1 if the clock was set back
local me, process, partitions = ARGV[1], ARGV[2], ARGV[3]
local s = call('HMGET', STATE, 'epoch', 'partitions', 'given_up', 'specifications')
if s[2] and s[2] ~= partitions then
  for name, beat in pairs(named(call('HGETALL', P .. 'beats'))) do
    if name ~= me and math.abs(NOW - tonumber(beat)) < tonumber(ARGV[4]) then
      return {'refused', name, math.abs(NOW - tonumber(beat)), s[2]}
    end
  end
end
go_on_when_full()
call('HSET', STATE, 'epoch', s[1] or ARGV[5], 'partitions', partitions)
call('SADD', P .. 'layouts', partitions)
call('HSET', P .. 'trackers', me, process)
local before = call('HGET', P .. 'beats', me)
if before then call('HSETNX', P .. 'unclean', me, before) end
call('HSET', P .. 'beats', me, text(NOW))
last = tonumber(call('HGET', STATE, 'last') or '0')
for p = 0, tonumber(partitions) - 1 do
  local stream = keys_of(partitions, p).stream
  redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  local newest = named(call('XINFO', 'STREAM', stream))['last-generated-id']
  last = math.max(last, tonumber(newest:match('^%d+')))
end
keep_last()
local others = {}
for _, layout in ipairs(call('SMEMBERS', P .. 'layouts')) do
  if layout ~= partitions then others[#others + 1] = tonumber(layout) end
end
return {'joined', s[1] or ARGV[5], s[3] or '0', s[4] or '0', call('HGET', P .. 'unclean', me) or '', others,
        last > NOW + SET_BACK and 1 or 0}
"""
)

LEAVE = Script(
    COMMON
    + """
-- name, process: the stop is clean
if call('HGET', P .. 'trackers', ARGV[1]) == ARGV[2] then
  call('HDEL', P .. 'trackers', ARGV[1])
  call('HDEL', P .. 'beats', ARGV[1])
end
"""
)

BEAT = Script(
    COMMON
    + """
-- name, process, partitions
-- returns: process that has the name, epoch, partitions, given_up, specifications, now, depth, then for each partition
-- how many entries could be claimed, or -1 when entries are missing that no tracker removed
local me, process, partitions = ARGV[1], ARGV[2], tonumber(ARGV[3])
local owner = call('HGET', P .. 'trackers', me) or process
local s = call('HMGET', STATE, 'epoch', 'partitions', 'given_up', 'specifications')
local answer = {owner, s[1] or '', s[2] or '', s[3] or '0', s[4] or '0', NOW, 0}
if not s[1] or s[2] ~= ARGV[3] then return answer end
if owner == process then
  go_on_when_full()
  call('HSET', P .. 'trackers', me, process)
  call('HSET', P .. 'beats', me, text(NOW))
end
answer[7] = depth_of(partitions)
for p = 0, partitions - 1 do
  local k = keys_of(partitions, p)
  local pending = call('XPENDING', k.stream, GROUP)[1]
  local news = call('XLEN', k.stream) - call('ZCARD', k.delivered) - pending
  answer[#answer + 1] = news < 0 and -1 or news + call('ZCOUNT', k.again, '-inf', text(NOW))
end
return answer
"""
)

HOLD = Script(
    COMMON
    + """
-- partitions, partition, consumer, ids: their tracker lives and holds them still
local k, me = keys_of(ARGV[1], ARGV[2]), ARGV[3]
for i = 4, #ARGV do
  local id = ARGV[i]
  if call('XPENDING', k.stream, GROUP, id, id, 1, me)[1] and not call('ZSCORE', k.again, id) then
    call('XCLAIM', k.stream, GROUP, me, 0, id, 'RETRYCOUNT', 0, 'JUSTID')
  end
end
"""
)

TAKE_OVER = Script(
    COMMON
    + """
-- partitions, partition, consumer, milliseconds without a sign of life, cursor
-- returns: the next cursor, how many, and how many are not there any more
local k, me = keys_of(ARGV[1], ARGV[2]), ARGV[3]
local answer = call('XAUTOCLAIM', k.stream, GROUP, me, ARGV[4], ARGV[5], 'COUNT', 500, 'JUSTID')
local taken = 0
for _, id in ipairs(answer[2]) do taken = taken + call('ZADD', k.again, 'NX', by_age(id), id) end
local gone = answer[3] or {}  -- which Redis 6.2 does not tell
for _, id in ipairs(gone) do forget_entry(k, id) end
return {answer[1], taken, #gone}
"""
)

LEFT_OVER = Script(
    COMMON
    + """
-- partitions, partition, consumer, id to go on after, ids that it does hold: the rest of its claims wait again
-- returns the id to go on after, or '' at the end
local k, me, after = keys_of(ARGV[1], ARGV[2]), ARGV[3], ARGV[4]
local held = {}
go_on_when_full()
for i = 5, #ARGV do held[ARGV[i]] = true end
local page = call('XPENDING', k.stream, GROUP, '(' .. after, '+', 1000, me)
for _, pending in ipairs(page) do
  if not held[pending[1]] then call('ZADD', k.again, 'NX', by_age(pending[1]), pending[1]) end
end
return #page > 0 and page[#page][1] or ''
"""
)

EXPIRE = Script(
    COMMON
    + """
-- partitions, partition, microseconds to keep (-1: nothing is to be kept, the oldest go first): returns how many went
local k, keep = keys_of(ARGV[1], ARGV[2]), tonumber(ARGV[3])
local ids
if keep < 0 then ids = call('ZRANGE', k.delivered, 0, 999)
else
  ids = call('ZRANGEBYSCORE', k.delivered, '-inf', text(NOW - keep), 'LIMIT', 0, 1000)
  if #ids == 0 then  -- delivered in the future: the clock was set back, and the age is unknown
    ids = call('ZRANGEBYSCORE', k.delivered, '(' .. text(NOW + keep), '+inf', 'LIMIT', 0, 1000)
  end
end
if #ids > 0 then
  call('XDEL', k.stream, unpack(ids))
  call('ZREM', k.delivered, unpack(ids))
  call('SREM', k.skip, unpack(ids))
end
return #ids
"""
)

REPLAY_DELIVERED = Script(
    COMMON
    + """
-- partitions, partition, consumer, microseconds since 1970: some that were delivered since then wait again: now, depth, how many
local k, me = keys_of(ARGV[1], ARGV[2]), ARGV[3]
local ids = call('ZRANGEBYSCORE', k.delivered, ARGV[4], '+inf', 'LIMIT', 0, 1000)
for _, id in ipairs(ids) do
  call('ZREM', k.delivered, id)
  if call('SREM', k.skip, id) == 0 then
    call('XCLAIM', k.stream, GROUP, me, 0, id, 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
    call('ZADD', k.again, by_age(id), id)
  end
end
return {NOW, depth_of(tonumber(ARGV[1])), #ids}
"""
)

DEAL = Script(
    COMMON
    + GUARD
    + """
-- epoch, partitions, old number of partitions: moves some entries to where they belong now; returns how many
local refusal = guard(ARGV[1], ARGV[2])
if refusal then return refusal end
local partitions, old = tonumber(ARGV[2]), tonumber(ARGV[3])
go_on_when_full()
local from, heads, moved, size = {}, {}, 0, 0
for p = 0, old - 1 do
  from[p] = keys_of(old, p)
  heads[p] = call('XRANGE', from[p].stream, '-', '+', 'COUNT', 1)[1]
end

local function oldest()
  local found = nil
  for p = 0, old - 1 do
    if heads[p] and (not found or tonumber(heads[p][1]:sub(1, -3)) < tonumber(heads[found][1]:sub(1, -3))) then found = p end
  end
  return found
end

local p = oldest()
while p and moved < 1000 and size < 8000000 do
  local id, f, k = heads[p][1], named(heads[p][2]), from[p]
  local to, new = add_entry(partitions, f.h, f.a or id:sub(1, -3), call('HGET', k.failures, id), f.b)
  local delivered = call('ZSCORE', k.delivered, id)
  if delivered then
    call('ZADD', to.delivered, delivered, new)
    call('SADD', to.skip, new)
  end
  call('XDEL', k.stream, id)
  call('ZREM', k.delivered, id)
  moved, size = moved + 1, size + #f.b
  heads[p] = call('XRANGE', k.stream, '-', '+', 'COUNT', 1)[1]
  p = oldest()
end
keep_last()
if last then call('HSET', STATE, 'dealt', text(last)) end
if not p then
  for q = 0, old - 1 do
    for _, key in pairs(from[q]) do call('DEL', key) end
  end
  call('SREM', P .. 'layouts', old)
end
return moved
"""
)

MISSING = Script(
    COMMON
    + """
-- partitions: the numbers of those of which entries are gone that nobody had claimed, as far as the server tells:
-- deleted ones by the newest of them, trimmed ones by how many the server thinks the group has still to read
local dealt, found = tonumber(call('HGET', STATE, 'dealt') or '0'), {}
for p = 0, tonumber(ARGV[1]) - 1 do
  local k, passed, lag = keys_of(ARGV[1], p), 0, 0
  for _, group in ipairs(call('XINFO', 'GROUPS', k.stream)) do
    local g = named(group)
    if g.name == GROUP then passed, lag = tonumber(g['last-delivered-id']:match('^%d+')), g.lag or 0 end
  end
  local deleted = named(call('XINFO', 'STREAM', k.stream))['max-deleted-entry-id'] or '0-0'
  local unread = call('XLEN', k.stream) - call('ZCARD', k.delivered) - call('XPENDING', k.stream, GROUP)[1]
                 + call('SCARD', k.skip)
  if tonumber(deleted:match('^%d+')) > math.max(passed, dealt) or lag > unread then found[#found + 1] = p end
end
return found
"""
)

SILENT = Script(
    COMMON
    + """
-- microseconds: names of trackers without a sign of life for so long, each with the last one
local found = {}
for name, beat in pairs(named(call('HGETALL', P .. 'beats'))) do
  if math.abs(NOW - tonumber(beat)) > tonumber(ARGV[1]) then
    found[#found + 1] = name
    found[#found + 1] = beat
  end
end
return found
"""
)

FORGET_TRACKER = Script(
    COMMON
    + """
-- partitions, name, its last sign of life: it is not there any more
if call('HGET', P .. 'beats', ARGV[2]) ~= ARGV[3] then return end
call('HDEL', P .. 'trackers', ARGV[2])
call('HDEL', P .. 'beats', ARGV[2])
for p = 0, tonumber(ARGV[1]) - 1 do
  local stream = keys_of(ARGV[1], p).stream
  if #call('XPENDING', stream, GROUP, '-', '+', 1, ARGV[2]) == 0 then call('XGROUP', 'DELCONSUMER', stream, GROUP, ARGV[2]) end
end
"""
)

PAGE = Script(
    COMMON
    + """
-- key, below the prefix, after this id, up to this id, most bytes: entries of a stream, each with its deliveries
local key, after, most, size, found = P .. ARGV[1], ARGV[2], tonumber(ARGV[4]), 0, {}
local failures = key .. ':failures'
while size < most do
  local page = call('XRANGE', key, '(' .. after, ARGV[3], 'COUNT', 1)
  if #page == 0 then break end
  local id, f = page[1][1], named(page[1][2])
  found[#found + 1] = {id, f.h or '', f.a or id:sub(1, -3), f.d or call('HGET', failures, id) or '0', f.t or '0',
                       f.r or f.m or '', f.p or '', f.f or '', f.b}
  after, size = id, size + #f.b + 200
end
return found
"""
)

SPECIFY = Script(
    COMMON
    + """
-- workflow, version, when, body of each: kept if that version is not there yet; returns how many were kept
local kept = 0
for i = 1, #ARGV, 4 do
  local workflow, version = ARGV[i], ARGV[i + 1]
  if call('HSETNX', P .. 'specification:' .. workflow, version, ARGV[i + 2] .. ' ' .. ARGV[i + 3]) == 1 then
    kept = kept + 1
    local newest = tonumber(call('HGET', P .. 'specifications', workflow) or '0')
    if tonumber(version) > newest then call('HSET', P .. 'specifications', workflow, version) end
  end
end
if kept > 0 then call('HINCRBY', STATE, 'specifications', 1) end
return kept
"""
)

CATALOGUE = Script(
    COMMON
    + """
-- id, body, body before or '' for none: kept in its place if that is what is there; returns 1 when it was
if (call('HGET', P .. 'data_stores', ARGV[1]) or '') ~= ARGV[3] then return 0 end
call('HSET', P .. 'data_stores', ARGV[1], ARGV[2])
return 1
"""
)

SPECIFICATIONS = Script(
    COMMON
    + """
-- workflow or '' for all, then newest, all, or a version: workflow, version, when, body of each
local found = {}

local function add(workflow, version, kept)
  if not kept then return end
  local space = kept:find(' ', 1, true)
  found[#found + 1] = {workflow, version, kept:sub(1, space - 1), kept:sub(space + 1)}
end

local newest = {}
if ARGV[1] == '' then newest = named(call('HGETALL', P .. 'specifications'))
else newest[ARGV[1]] = call('HGET', P .. 'specifications', ARGV[1]) or nil end
for workflow, last in pairs(newest) do
  local key = P .. 'specification:' .. workflow
  if ARGV[2] == 'all' then
    for version, kept in pairs(named(call('HGETALL', key))) do add(workflow, version, kept) end
  else
    local version = ARGV[2] == 'newest' and last or ARGV[2]
    add(workflow, version, call('HGET', key, version))
  end
end
return found
"""
)
