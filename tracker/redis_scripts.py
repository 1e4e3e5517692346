"""The steps of the queue that the server does as one, in Lua.

Keys, below the prefix::

    state                 hash: epoch (changes when the data is lost), partitions, last (the newest id given),
                          given_up and specifications (counters of changes that every tracker must see), dealt
                          (the newest id when entries were dealt out anew)
    queue:N:P             stream: partition P of N. Fields: h hash of the key, b body, a when it was accepted if the id
                          does not say it. One consumer group, `trackers`; one consumer a tracker
    queue:N:P:again       sorted set: claimed once and given back, by when they may be claimed again
    queue:N:P:failures    hash: counted deliveries of those that have any
    queue:N:P:delivered   sorted set: delivered and still kept, by when they were delivered
    queue:N:P:skip        set: delivered ones that the group has yet to pass, because they were dealt out anew
    dead                  stream of dead letters: h, a, d deliveries, t when it died, r reason, b
    quarantine            stream of refused records: g digest, a, p producer, f field, m message, b
    quarantine:digests    hash of the digests of those
    trackers, beats       hashes by name: the process that has the name now; its last sign of life
    unclean               hash by name: last sign of life before a stop that was not clean, until that is made good
    layouts               set of the numbers N of which streams may be there

Every id is `M-0` where M is a number of microseconds: the time by the server's clock, or one more than the last. So
ids are unique and in order over all partitions, whatever the clock does. An entry is in one of these states:

    after the group's last id                      waiting, never claimed
    pending, not in `again`                        claimed
    pending, in `again`                            waiting, claimed before
    acknowledged, in `delivered`                   delivered, kept

so the depth of a partition is the length of its stream without those in `delivered`. The number of deliveries that the
group counts for a pending entry is the number of claims that ended without a word: it goes back to 0 when an entry is
given back, and when a living tracker has held it for a while.
"""

from __future__ import annotations

from .queue import MAX_QUARANTINED
from .redis_server import Script

MAX_DELAY_SECONDS = 60
"""Longest delay of a retry. What is due later than that was set before the clock was set back, and is due now."""
SILENT_CLAIMS_ALONE = 3
"""Claims of an entry that ended without a word, its tracker having died, from which on it is claimed alone."""
MAX_SILENT_CLAIMS = 10
"""Such claims after which it is given up, since it may be what the trackers die of."""

SET_BACK_SECONDS = 10
"""A clock that is further behind than this was set back."""

_CONSTANTS = f"""
local SET_BACK = {SET_BACK_SECONDS * 1_000_000}
local MAX_QUARANTINED, MAX_DELAY = {MAX_QUARANTINED}, {MAX_DELAY_SECONDS * 1_000_000}
local ALONE, MAX_SILENT = {SILENT_CLAIMS_ALONE}, {MAX_SILENT_CLAIMS}
"""
COMMON = (
    _CONSTANTS
    + """
local P, GROUP = KEYS[1], 'trackers'
local STATE = P .. 'state'
local call = redis.call
local time = call('TIME')
local NOW = time[1] * 1000000 + time[2]

local function text(number) return string.format('%.0f', number) end
local function by_age(id) return text(tonumber(id:sub(1, -3)) - 1e16) end

local function stream_of(partitions, partition) return P .. 'queue:' .. partitions .. ':' .. partition end

local function keys_of(partitions, partition)
  local base = stream_of(partitions, partition)
  return {stream = base, again = base .. ':again', failures = base .. ':failures',
          delivered = base .. ':delivered', skip = base .. ':skip'}
end

local function named(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end

local function body_of(entry) return named(entry[2]).b end

local function depth_of(partitions)
  local total = 0
  for p = 0, partitions - 1 do
    local stream = stream_of(partitions, p)
    total = total + call('XLEN', stream) - call('ZCARD', stream .. ':delivered')
  end
  return total
end

local last = nil
local function new_id()
  if not last then last = tonumber(call('HGET', STATE, 'last') or '0') end
  last = math.max(last + 1, NOW)
  return text(last) .. '-0'
end
local function keep_last() if last then call('HSET', STATE, 'last', text(last)) end end

local function add_entry(partitions, hash, accepted, deliveries, body)
  local k, id = keys_of(partitions, hash % partitions), new_id()
  if accepted then call('XADD', k.stream, id, 'h', hash, 'b', body, 'a', accepted)
  else call('XADD', k.stream, id, 'h', hash, 'b', body) end
  if deliveries and tonumber(deliveries) > 0 then call('HSET', k.failures, id, deliveries) end
  return k, id
end

local function add_dead(hash, accepted, deliveries, died, reason, body)
  call('XADD', P .. 'dead', new_id(), 'h', hash, 'a', accepted, 'd', deliveries, 't', died, 'r', reason, 'b', body)
end

-- A write that every server allows although its memory is full: from then on the script may do all the rest.
local function go_on_when_full() call('HDEL', STATE, '') end

local function forget_entry(k, id)
  local was = call('XACK', k.stream, GROUP, id)
  call('ZREM', k.again, id)
  call('HDEL', k.failures, id)
  return was == 1
end

local function bury(k, entry, reason)
  local id, f = entry[1], named(entry[2])
  local deliveries = call('HGET', k.failures, id) or 0
  if not forget_entry(k, id) then return false end
  call('XDEL', k.stream, id)
  add_dead(f.h, f.a or id:sub(1, -3), deliveries, text(NOW), reason, f.b)
  call('HINCRBY', STATE, 'given_up', 1)
  return true
end
"""
)

GUARD = """
local function guard(epoch, partitions)
  local s = call('HMGET', STATE, 'epoch', 'partitions')
  if s[1] ~= epoch or s[2] ~= partitions then
    return redis.error_reply('CHANGED the queue was lost or dealt out anew, the tracker joins it again')
  end
end
"""

ADD = Script(
    COMMON
    + GUARD
    + """
-- epoch, partitions, then items: e hash body | x hash accepted deliveries body |
-- d hash accepted deliveries died reason body | r digest accepted producer field message body
local function quarantine(digest, accepted, producer, field, message, body)
  if call('HSETNX', P .. 'quarantine:digests', digest, 1) == 0 then return end
  accepted = accepted == '' and text(NOW) or accepted
  call('XADD', P .. 'quarantine', new_id(), 'g', digest, 'a', accepted, 'p', producer, 'f', field, 'm', message, 'b', body)
  local excess = call('XLEN', P .. 'quarantine') - MAX_QUARANTINED
  if excess > 0 then
    for _, one in ipairs(call('XRANGE', P .. 'quarantine', '-', '+', 'COUNT', excess)) do
      call('HDEL', P .. 'quarantine:digests', named(one[2]).g)
      call('XDEL', P .. 'quarantine', one[1])
    end
  end
end

local refusal = guard(ARGV[1], ARGV[2])
if refusal then return refusal end
local partitions, n, i = tonumber(ARGV[2]), #ARGV, 3
local streams = {}
for p = 0, partitions - 1 do streams[p] = stream_of(partitions, p) end
while i <= n do
  local kind, hash = ARGV[i], ARGV[i + 1]
  if kind == 'e' then  -- what there is most of, without a detour
    call('XADD', streams[hash % partitions], new_id(), 'h', hash, 'b', ARGV[i + 2])
    i = i + 3
  elseif kind == 'x' then
    add_entry(partitions, hash, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
    i = i + 5
  elseif kind == 'd' then
    add_dead(hash, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
    i = i + 7
  else
    quarantine(hash, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
    i = i + 7
  end
end
keep_last()
return {NOW, depth_of(partitions)}
"""
)

CLAIM = Script(
    COMMON
    + """
-- partitions, partition, consumer, most entries, most bytes
-- returns: microseconds until one that was given back may be claimed (or -1), how many are not there any more,
-- how many were given up, then id, body, deliveries, silent claims of each
local k, me, most, bytes = keys_of(ARGV[1], ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local found, count, size, lost, dead = {}, 0, 0, 0, 0
local failures = call('EXISTS', k.failures) == 1
local full = false

local function take(id, body, silent)
  found[#found + 1] = id
  found[#found + 1] = body
  found[#found + 1] = failures and tonumber(call('HGET', k.failures, id) or '0') or 0
  found[#found + 1] = silent
  count, size = count + 1, size + #body
  full = count >= most or size >= bytes
end

local function due()
  local ids = call('ZRANGEBYSCORE', k.again, '-inf', text(NOW), 'LIMIT', 0, most)
  if #ids == most then return ids end
  for _, id in ipairs(call('ZRANGEBYSCORE', k.again, text(NOW + MAX_DELAY), '+inf', 'LIMIT', 0, most - #ids)) do
    ids[#ids + 1] = id
  end
  return ids
end

local function take_again(id)
  local pending = call('XPENDING', k.stream, GROUP, id, id, 1)[1]
  local entry = call('XRANGE', k.stream, id, id)[1]
  if not pending or not entry then
    if pending then lost = lost + 1 end
    forget_entry(k, id)
    return
  end
  local silent, body = pending[4], body_of(entry)
  if silent >= MAX_SILENT then
    bury(k, entry, 'claimed ' .. silent .. ' times by trackers that died soon after, each time')
    dead = dead + 1
    return
  end
  local alone = silent >= ALONE
  if count > 0 and (alone or size + #body > bytes) then full = true return end
  call('XCLAIM', k.stream, GROUP, me, 0, id, 'RETRYCOUNT', silent + 1, 'JUSTID')
  call('ZREM', k.again, id)
  take(id, body, silent + 1)
  full = full or alone
end

for _, id in ipairs(due()) do
  take_again(id)
  if full then break end
end

local skip = not full and call('EXISTS', k.skip) == 1
while not full do
  local read = call('XREADGROUP', 'GROUP', GROUP, me, 'COUNT', 1, 'STREAMS', k.stream, '>')
  if not read then break end
  local entry = read[1][2][1]
  local id, body = entry[1], body_of(entry)
  if skip and call('SREM', k.skip, id) == 1 then
    call('XACK', k.stream, GROUP, id)
  elseif count > 0 and size + #body > bytes then
    call('XCLAIM', k.stream, GROUP, me, 0, id, 'RETRYCOUNT', 0, 'JUSTID')
    call('ZADD', k.again, by_age(id), id)
    full = true
  else
    take(id, body, 1)
  end
end

if dead > 0 then keep_last() end
local wait = -1
if count == 0 then
  local first = call('ZRANGE', k.again, 0, 0, 'WITHSCORES')
  if first[2] then wait = math.max(tonumber(first[2]) - NOW, 0) end
end
local answer = {wait, lost, dead}
for _, one in ipairs(found) do answer[#answer + 1] = one end
return answer
"""
)

ACKNOWLEDGE = Script(
    COMMON
    + """
-- partitions, partition, microseconds to keep, ids
local k, keep = keys_of(ARGV[1], ARGV[2]), tonumber(ARGV[3])
for i = 4, #ARGV do
  local id = ARGV[i]
  if forget_entry(k, id) then
    if keep > 0 then call('ZADD', k.delivered, text(NOW), id) else call('XDEL', k.stream, id) end
  end
end
return {NOW, depth_of(tonumber(ARGV[1]))}
"""
)

GIVE_BACK = Script(
    COMMON
    + """
-- partitions, partition, consumer, microseconds of delay (0: at once, in the order of age), 1 if counted, ids
local k, me, delay, counted = keys_of(ARGV[1], ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
for i = 6, #ARGV do
  local id = ARGV[i]
  local pending = call('XPENDING', k.stream, GROUP, id, id, 1, me)[1]
  if pending then
    call('XCLAIM', k.stream, GROUP, me, 0, id, 'RETRYCOUNT', 0, 'JUSTID')
    call('ZADD', k.again, delay > 0 and text(NOW + math.min(delay, MAX_DELAY)) or by_age(id), id)
    if counted then call('HINCRBY', k.failures, id, 1) end
  end
end
return NOW
"""
)

BURY = Script(
    COMMON
    + """
-- partitions, partition, reason, ids
local k = keys_of(ARGV[1], ARGV[2])
for i = 4, #ARGV do
  local entry = call('XRANGE', k.stream, ARGV[i], ARGV[i])[1]
  if entry then bury(k, entry, ARGV[3]) end
end
keep_last()
return {NOW, depth_of(tonumber(ARGV[1]))}
"""
)

REPLAY = Script(
    COMMON
    + GUARD
    + """
-- epoch, partitions, ids of dead letters: they wait again; returns how many they were
local refusal = guard(ARGV[1], ARGV[2])
if refusal then return refusal end
local partitions, replayed = tonumber(ARGV[2]), 0
for i = 3, #ARGV do
  local letter = call('XRANGE', P .. 'dead', ARGV[i], ARGV[i])[1]
  if letter then
    local f = named(letter[2])
    add_entry(partitions, f.h, f.a, nil, f.b)
    call('XDEL', P .. 'dead', letter[1])
    replayed = replayed + 1
  end
end
keep_last()
return {NOW, depth_of(partitions), replayed}
"""
)

DEAD_LETTERS = Script(
    COMMON
    + """
-- after this id, up to this id, how many: id, h, a, d, t, r, and the size of the body of each
local found, after, left = {}, ARGV[1], tonumber(ARGV[3])
while left > 0 do
  local page = call('XRANGE', P .. 'dead', '(' .. after, ARGV[2], 'COUNT', math.min(left, 10))
  if #page == 0 then break end
  for _, letter in ipairs(page) do
    local f = named(letter[2])
    found[#found + 1] = {letter[1], f.h, f.a, f.d, f.t, f.r, #f.b}
    after = letter[1]
  end
  left = left - #page
end
return found
"""
)

STATISTICS = Script(
    COMMON
    + """
-- partitions: now, age of the oldest in microseconds, dead letters, quarantined, kept, then the depth of each partition
local partitions, oldest, kept, depths = tonumber(ARGV[1]), NOW, 0, {}

local function accepted(entry) return tonumber(named(entry[2]).a or entry[1]:sub(1, -3)) end

for p = 0, partitions - 1 do
  local k = keys_of(partitions, p)
  local here = call('ZCARD', k.delivered)
  kept = kept + here
  depths[p + 1] = call('XLEN', k.stream) - here
  if depths[p + 1] > 0 then
    local pending = call('XPENDING', k.stream, GROUP)
    local entry = pending[2] and call('XRANGE', k.stream, pending[2], pending[2])[1]
    if entry then oldest = math.min(oldest, accepted(entry)) end
    for _, group in ipairs(call('XINFO', 'GROUPS', k.stream)) do
      local g = named(group)
      local news = g.name == GROUP and call('XRANGE', k.stream, '(' .. g['last-delivered-id'], '+', 'COUNT', 1)[1]
      if news then oldest = math.min(oldest, accepted(news)) end
    end
  end
end
local answer = {NOW, NOW - oldest, call('XLEN', P .. 'dead'), call('XLEN', P .. 'quarantine'), kept}
for _, depth in ipairs(depths) do answer[#answer + 1] = depth end
return answer
"""
)
