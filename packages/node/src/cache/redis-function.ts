/**
 * The rules of a recipient's boxes as one Redis Function: protocol/box.md §7, carried out where the messages lie, so that
 * several cache nodes may share them. Everything that one recipient has is in three keys of one slot, and a call touches
 * nothing but those and the keys in which the slot keeps its books:
 *
 * - `m` (hash): the messages by name; under "" the sums of the recipient; under "b" and its name what is known of a box;
 *   under "f" the numbers that boxes gave back.
 * - `z` (sorted set): all that has an order, each in its range of scores. From PLACES on each message at its place: number
 *   of the box, whose mail it is (known or stranger), large or small, serial; so the oldest of each kind is the first of a
 *   range and the newest the last. From 1 on, under "x" and its name, the time at which it ends. Between 0 and 1 the boxes
 *   by number. Below 0 each half box that has something to push out, the fullest first, and of those that have the same the one
 *   with the oldest.
 * - `r` (string): what the recipient has revoked, 8 bytes each, told last, last. It is looked at when the state does not say that
 *   there is none, so most calls need no command for it.
 * - `c` (hash), `d` (sorted set) of the slot: how much there is in all, and which recipient is due for a purge when. `v` (sorted
 *   set): which recipients have revoked something, by when they told it, and under "" what all that takes.
 *
 * The newest small message of a box is never in the way when something to push out is looked for: it is the last of its
 * range, and the oldest is the first. So each step costs O(log n), whatever a sender left there. A call purges, clears and
 * pushes out a bounded number of messages; where more is to be done it says so and is called again. What a call costs is the
 * number of commands in it: a put has five.
 *
 * Names of boxes and messages are opaque here; nothing in a key says for whom it is.
 */
import { createHash } from "node:crypto";

const LUA = `
local SMALL, COUNTED, TWINS, STEP = 1024, 128, 63, 128
local PLACES, BAND = 2 ^ 52, 2 ^ 38
local SHELF = 2 ^ 42
local NUMBERS = 8192
local TICK_MS = 16
local MANY = 2 ^ 40
local SLACK_MS = 3600000
local SERIALS, SHARE, RECORD, SLOT, SILENCE_MS = 2000, 200, 32, 8192, 2592000000

local function num(n) return string.format('%.0f', n) end

-- Boxes: loaded once in a call, written back at its end.

local function open_box(c, name, raw)
  local r = cmsgpack.unpack(raw)
  local box = { name = name, number = r[1], bytes = { r[2], r[3] }, larges = { r[4], r[5] }, smalls = { r[6], r[7] },
    oldest = { r[8], r[9] }, ranked = { r[8], r[9] }, extra = 0, kept = r[10], kept_size = r[11], kept_shelf = r[12], kept_serial = r[13], twins = r[14],
    stale = {} }
  c.boxes[name] = box
  c.numbers[box.number] = box
  return box
end

local function box_of(c, name)
  local box = c.boxes[name]
  if box ~= nil then return box end
  local raw = redis.call('HGET', c.m, 'b' .. name)
  if raw then return open_box(c, name, raw) end
  c.boxes[name] = false
  return false
end

local function box_at(c, number)
  local box = c.numbers[number]
  if box then return box end
  local at = (number + 1) / NUMBERS
  local found = redis.call('ZRANGEBYSCORE', c.z, at, at, 'LIMIT', 0, 1)
  return box_of(c, string.sub(found[1], 2))
end

local function new_box(c, name)
  local s = c.s
  local number
  if s.freed > 0 then
    c.free = c.free or redis.call('HGET', c.m, 'f')
    local high, low = string.byte(c.free, -2, -1)
    number, c.free, c.has_freed = high * 256 + low, string.sub(c.free, 1, -3), true
    s.freed = s.freed - 1
  else
    number, s.numbers = s.numbers, s.numbers + 1
  end
  local box = { name = name, number = number, bytes = { 0, 0 }, larges = { 0, 0 }, smalls = { 0, 0 }, oldest = { 0, 0 },
    ranked = { 0, 0 }, extra = 0, kept = '', kept_size = 0, kept_shelf = 0, kept_serial = 0, twins = 0, stale = {}, dirty = true }
  c.boxes[name], c.numbers[number] = box, box
  s.boxes, c.new_boxes = s.boxes + 1, c.new_boxes + 1
  redis.call('ZADD', c.z, (number + 1) / NUMBERS, 'b' .. name)
  return box
end

local function count(box) return box.larges[1] + box.larges[2] + box.smalls[1] + box.smalls[2] end

local function end_box(c, box)
  local s = c.s
  redis.call('HDEL', c.m, 'b' .. box.name)
  redis.call('ZREM', c.z, 'b' .. box.name)
  c.boxes[box.name], c.numbers[box.number] = false, nil
  if s.freed > 0 then c.free = c.free or redis.call('HGET', c.m, 'f') end
  c.free = (c.free or '') .. string.char(math.floor(box.number / 256), box.number % 256)
  c.has_freed = true
  s.freed, s.boxes, c.new_boxes = s.freed + 1, s.boxes - 1, c.new_boxes - 1
end

-- Places: the order of the messages.

local function band(box, shelf, small) return (box.number * 4 + shelf * 2 - 2 + small) * BAND + PLACES end

local function first(c, box, shelf, small, after)
  if (small == 1 and box.smalls or box.larges)[shelf] == 0 then return nil end
  local base = band(box, shelf, small)
  local found = redis.call('ZRANGEBYSCORE', c.z, num(base + after + 1), num(base + BAND - 1), 'WITHSCORES', 'LIMIT', 0, 1)
  if found[1] then return found[1], tonumber(found[2]) - base end
end

local function last_small(c, box, shelf)
  if box.smalls[shelf] == 0 then return nil end
  local base = band(box, shelf, 1)
  local found = redis.call('ZREVRANGEBYSCORE', c.z, num(base + BAND - 1), num(base), 'WITHSCORES', 'LIMIT', 0, 1)
  return found[1], tonumber(found[2]) - base
end

-- The oldest message of a half box that may be pushed out.
local function oldest(c, box, shelf)
  local large, large_serial = first(c, box, shelf, 0, 0)
  local small, small_serial = first(c, box, shelf, 1, 0)
  if small == box.kept then small = nil end
  if small and (not large or small_serial < large_serial) then return small, small_serial, 1 end
  return large, large_serial, 0
end

-- Of half boxes with the same score the one with the lower member comes first: that with the older message.
local function rank_of(box, shelf)
  local serial = box.oldest[shelf]
  local score = num((shelf - 3) * SHELF - box.bytes[shelf] - box.extra)
  return score, 'o' .. shelf .. string.char(math.floor(serial / 2 ^ 32)) .. struct.pack('>I4', serial % 2 ^ 32) .. box.name
end

local function unrank(c, box, shelf, ...)
  local serial = box.ranked[shelf]
  if serial ~= 0 then
    local kept = box.oldest[shelf]
    box.oldest[shelf] = serial
    local _, member = rank_of(box, shelf)
    box.oldest[shelf], box.ranked[shelf] = kept, 0
    redis.call('ZREM', c.z, member, ...)
  elseif ... then redis.call('ZREM', c.z, ...) end
end

-- Puts a half box where it belongs among those of its shelf.
local function rank(c, box, shelf)
  local serial = box.oldest[shelf]
  if box.ranked[shelf] ~= serial then unrank(c, box, shelf) end
  if serial ~= 0 then redis.call('ZADD', c.z, rank_of(box, shelf)) end
  box.ranked[shelf], box.dirty = serial, true
end

-- Leaves it to the caller to rank.
local function expose(c, box)
  local shelf = box.kept_shelf
  c.s.kept[shelf] = c.s.kept[shelf] - box.kept_size
  local was = box.oldest[shelf]
  if was == 0 or box.kept_serial < was then box.oldest[shelf] = box.kept_serial end
  box.kept, box.dirty = '', true
end

local function keep(c, box, name, shelf, serial, size)
  box.kept, box.kept_size, box.kept_shelf, box.kept_serial, box.dirty = name, size, shelf, serial, true
  c.s.kept[shelf] = c.s.kept[shelf] + size
end

local function drop(c, box, shelf, small, name)
  local s = c.s
  local length = redis.call('HSTRLEN', c.m, name)
  redis.call('HDEL', c.m, name)
  unrank(c, box, shelf, name, 'x' .. name)
  local size = math.max(length, COUNTED)
  local counts = small == 1 and box.smalls or box.larges
  counts[shelf] = counts[shelf] - 1
  box.bytes[shelf] = box.bytes[shelf] - size
  s.bytes[shelf] = s.bytes[shelf] - size
  s.messages, s.data = s.messages - 1, s.data - length
  if s.messages == 0 then c.is_bare = true end
  box.stale[shelf], box.dirty = true, true
  if name == box.kept then
    s.kept[shelf] = s.kept[shelf] - box.kept_size
    box.kept, box.lost = '', true
  end
end

-- After messages went: what is protected now, and what is the oldest. An empty box ends.
local function settle(c, box)
  if box.lost then
    local known, known_serial = last_small(c, box, 1)
    local strange, strange_serial = last_small(c, box, 2)
    local name, serial, shelf = known, known_serial, 1
    if strange and (not known or strange_serial > known_serial) then name, serial, shelf = strange, strange_serial, 2 end
    if name then
      keep(c, box, name, shelf, serial, math.max(redis.call('HSTRLEN', c.m, name), COUNTED))
      box.stale[shelf] = true
    end
    box.lost = false
  end
  for shelf = 1, 2 do
    if box.stale[shelf] then
      local name, serial = oldest(c, box, shelf)
      box.oldest[shelf] = name and serial or 0
      rank(c, box, shelf)
      box.stale[shelf] = nil
    end
  end
  if count(box) == 0 and box ~= c.target then end_box(c, box) end
end

local function push_out(c, box, shelf)
  local name, _, small = oldest(c, box, shelf)
  drop(c, box, shelf, small, name)
  c.pushed_out = c.pushed_out + 1
end

-- The places where messages of this id may lie: one, and further ones once two different ones met in the box.
local function names(box, name)
  local all = { name }
  if box and box.twins == 1 then for i = 1, TWINS do all[i + 1] = name .. string.char(i) end end
  return all
end

-- Whoever has a box open remembers how far it has read, so serials never go back: not when all was empty for a while,
-- and not when a replica that had not seen the last of them took over.
local function serial(c)
  c.s.serial = math.max(c.s.serial + 1, math.floor(c.now / TICK_MS))
  return c.s.serial
end

local function ends(c, expires)
  local s = c.s
  if s.due == 0 or expires < s.due then s.due = expires end
  if expires > s.last then s.last = expires end
end

-- What the recipient has revoked.

local function void(c)
  if not c.void then
    c.void = c.s.revoked ~= 0 and redis.call('GET', c.r) or ''
    c.s.revoked = c.void == '' and 0 or 1
  end
  return c.void
end

local function is_void(c, serial)
  if serial == '' then return false end
  local all, from = void(c), 1
  while true do
    local at = string.find(all, serial, from, true)
    if not at then return false end
    if at % 8 == 1 then return true end
    from = at + 1
  end
end

-- Nobody's word makes room at the cost of others, but for those who have said nothing for long: beyond a share that is enough
-- for people only half of what there is for a slot is given away, and what does not fit is not remembered.
local function revoke(c, told)
  local known = void(c)
  local is_told, old, again, fresh = {}, {}, {}, {}
  for at = 1, #told, 8 do is_told[string.sub(told, at, at + 7)] = true end
  for at = 1, #known, 8 do
    local serial = string.sub(known, at, at + 7)
    if is_told[serial] then again[#again + 1] = serial else old[#old + 1] = serial end
    is_told[serial] = nil
  end
  for serial in pairs(is_told) do fresh[#fresh + 1] = serial end
  local was, skip = #known / 8, math.max(0, #old + #again + #fresh - SERIALS)
  local count = #old + #again + #fresh - skip
  local others = -(tonumber(redis.call('ZSCORE', c.v, '') or 0)) - (was > 0 and RECORD + was or 0)
  local function room()
    return math.max(was, math.min(SERIALS, SLOT / 2 - others - RECORD), math.min(SHARE, SLOT - others - RECORD))
  end
  while room() < count do
    local silent = redis.call('ZRANGEBYSCORE', c.v, 0, num(c.now - SILENCE_MS), 'LIMIT', 0, 2)
    local tag = silent[1] == c.tag and silent[2] or silent[1]
    if not tag then break end
    local key = '{' .. tag .. '}r'
    others = others - RECORD - redis.call('STRLEN', key) / 8
    redis.call('UNLINK', key)
    redis.call('ZREM', c.v, tag)
  end
  local left = math.max(0, #fresh - math.max(0, count - room()))
  for i = left + 1, #fresh do fresh[i] = '' end
  count = count - #fresh + left
  if count == 0 then return 1 end
  c.void = string.sub(table.concat(old) .. table.concat(again) .. table.concat(fresh), 8 * skip + 1)
  c.s.revoked = 1
  redis.call('SET', c.r, c.void)
  redis.call('ZADD', c.v, c.now, c.tag, num(-(others + RECORD + count)), '')
  return 1
end

-- The operations.

local function put(c, name, id, bytes, expires, shelf, may_keep)
  local s, box = c.s, box_of(c, name)
  local all = names(box, id)
  local found = {}
  if c.peeks and #all == 1 and c.ended == 0 then found[1] = c.first
  elseif box then found = redis.call('HMGET', c.m, unpack(all)) end
  local place = id
  for i = 1, #all do
    if found[i] == bytes then
      if expires > c.now then
        redis.call('ZADD', c.z, expires, 'x' .. all[i])
        ends(c, expires)
      else
        local at = tonumber(redis.call('ZSCORE', c.z, all[i])) - PLACES
        local half = math.floor(at / BAND) % 4
        drop(c, box, math.floor(half / 2) + 1, half % 2, all[i])
        settle(c, box)
      end
      return 1
    end
  end
  if found[1] then
    place = nil
    if box.twins == 0 then place = id .. string.char(1)
    else for i = 2, #all do if not found[i] then place = all[i] break end end end
  end
  if expires <= c.now or not may_keep or not place then return 0 end

  local size, small = math.max(#bytes, COUNTED), #bytes < SMALL and 1 or 0
  local kept_here = box and box.kept ~= '' and box.kept_shelf == shelf and box.kept_size or 0
  local box_limit, limit = c.box_limits[shelf], c.limits[shelf]
  if (small == 1 and 0 or kept_here) + size > box_limit then return 0 end
  if s.kept[shelf] - (small == 1 and kept_here or 0) + size > limit then return 0 end
  if not box and s.boxes >= c.max_boxes then return 0 end

  local is_first = not box
  box = box or new_box(c, name)
  c.target = box
  if small == 1 and box.kept ~= '' then
    expose(c, box)
    if box.kept_shelf ~= shelf then rank(c, box, box.kept_shelf) end
  end
  while box.bytes[shelf] + size > box_limit do push_out(c, box, shelf) end
  settle(c, box)
  if s.bytes[shelf] + size > limit then
    -- The new message counts, and is not there to be pushed out.
    box.extra = size
    rank(c, box, shelf)
    while s.bytes[shelf] + size > limit do
      local to = (shelf - 3) * SHELF
      local next = redis.call('ZRANGEBYSCORE', c.z, num(to - SHELF + 1), num(to), 'LIMIT', 0, 1)
      local other = box_of(c, string.sub(next[1], 8))
      push_out(c, other, shelf)
      settle(c, other)
    end
    box.extra = 0
  end

  local at = serial(c)
  if c.is_last then c.fields = { place, bytes }
  else redis.call('HSET', c.m, place, bytes) end
  ends(c, expires)
  local counts = small == 1 and box.smalls or box.larges
  counts[shelf] = counts[shelf] + 1
  box.bytes[shelf] = box.bytes[shelf] + size
  s.bytes[shelf] = s.bytes[shelf] + size
  s.messages, s.data = s.messages + 1, s.data + #bytes
  if place ~= id then box.twins = 1 end
  if small == 1 then keep(c, box, place, shelf, at, size)
  elseif box.oldest[shelf] == 0 then box.oldest[shelf] = at end
  local score, first_serial = num(band(box, shelf, small) + at), box.oldest[shelf]
  if box.ranked[shelf] ~= first_serial then unrank(c, box, shelf) end
  if first_serial == 0 then redis.call('ZADD', c.z, score, place, expires, 'x' .. place)
  else redis.call('ZADD', c.z, score, place, expires, 'x' .. place, rank_of(box, shelf)) end
  box.ranked[shelf] = first_serial
  box.dirty, c.target = true, nil
  c.news[#c.news + 1] = (is_first and '1' or '0') .. name
  return is_first and 3 or 2
end

local function remove(c, name, id)
  local box = box_of(c, name)
  if not box then return 1 end
  for _, one in ipairs(names(box, id)) do
    local at = redis.call('ZSCORE', c.z, one)
    if at then
      local half = math.floor((tonumber(at) - PLACES) / BAND) % 4
      drop(c, box, math.floor(half / 2) + 1, half % 2, one)
    end
  end
  settle(c, box)
  return 1
end

-- What stood there when the clearing began, some at a time. The answer is empty when nothing is left of it.
local function clear(c, name, upto)
  local s, box = c.s, box_of(c, name)
  if not box then return '' end
  if count(box) == s.messages and upto == '' then
    redis.call('UNLINK', c.m, c.z)
    c.new_boxes = c.new_boxes - 1
    c.boxes, c.numbers, c.free, c.has_freed, c.is_bare = {}, {}, nil, false, true
    s.messages, s.data, s.bytes, s.kept = 0, 0, { 0, 0 }, { 0, 0 }
    s.boxes, s.numbers, s.freed, s.due, s.last, s.til, s.told = 0, 0, 0, 0, 0, 0, 0
    return ''
  end
  local last = upto == '' and s.serial or tonumber(upto)
  local left = STEP
  for shelf = 1, 2 do
    for small = 0, 1 do
      local base = band(box, shelf, small)
      local found = redis.call('ZRANGEBYSCORE', c.z, num(base), num(base + last), 'LIMIT', 0, left)
      for _, one in ipairs(found) do drop(c, box, shelf, small, one) end
      left = left - #found
      if left == 0 then break end
    end
    if left == 0 then break end
  end
  settle(c, box)
  return left == 0 and num(last) or ''
end

local function list(c)
  local found = redis.call('ZRANGEBYSCORE', c.z, 0, '(1')
  for i = 1, #found do found[i] = string.sub(found[i], 2) end
  return found
end

local function read(c, name, after)
  local box = box_of(c, name)
  if not box then return {} end
  local best, best_serial
  for shelf = 1, 2 do
    for small = 0, 1 do
      local found, at = first(c, box, shelf, small, after)
      if found and (not best or at < best_serial) then best, best_serial = found, at end
    end
  end
  return best and { best, best_serial, redis.call('HGET', c.m, best) } or {}
end

-- What has ended. True when it was all.
local function purge(c)
  local s = c.s
  if s.due == 0 or s.due > c.now then return true end
  local ended = redis.call('ZRANGEBYSCORE', c.z, 1, c.now, 'LIMIT', 0, STEP)
  local touched = {}
  for _, member in ipairs(ended) do
    local name = string.sub(member, 2)
    local half = math.floor((tonumber(redis.call('ZSCORE', c.z, name)) - PLACES) / BAND)
    local box = box_at(c, math.floor(half / 4))
    touched[box] = true
    drop(c, box, math.floor(half / 2) % 2 + 1, half % 2, name)
  end
  for box in pairs(touched) do settle(c, box) end
  c.ended = c.ended + #ended
  if #ended == STEP then return false end
  local next = redis.call('ZRANGEBYSCORE', c.z, 1, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  s.due = next[1] and tonumber(next[2]) or 0
  return true
end

-- A call: the state of the recipient, purge, operations in order, the state again.

local function load(c, wanted)
  local found = redis.call('HMGET', c.m, '', unpack(wanted))
  c.raw, c.first = found[1], c.peeks and found[#wanted + 1]
  local r = found[1] and cmsgpack.unpack(found[1]) or { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  c.s = { serial = r[1], messages = r[2], data = r[3], bytes = { r[4], r[5] }, kept = { r[6], r[7] }, boxes = r[8],
    numbers = r[9], freed = r[10], due = r[11], last = r[12], til = r[13], told = r[14], revoked = r[15] }
  for i = 1, c.peeks and #wanted - 1 or #wanted do
    local name = string.sub(wanted[i], 2)
    if c.boxes[name] == nil then
      if found[i + 1] then open_box(c, name, found[i + 1]) else c.boxes[name] = false end
    end
  end
end

-- Two counts in one number: the call is what costs. Large changes are not exact as one.
local function count_up(c, field, many, few)
  if many ~= 0 then redis.call('HINCRBY', c.c, field, num(math.abs(many) < 4096 and many * MANY + few or many * MANY)) end
  if few ~= 0 and (many == 0 or math.abs(many) >= 4096) then redis.call('HINCRBY', c.c, field, num(few)) end
end

local function save(c)
  local s = c.s
  if s.messages == 0 then
    if c.was_messages > 0 then
      redis.call('UNLINK', c.m, c.z)
      redis.call('ZREM', c.d, c.tag)
      local ahead = s.serial * TICK_MS - c.now
      if ahead >= 0 then
        redis.call('HSET', c.m, '', cmsgpack.pack({ s.serial, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }))
        redis.call('PEXPIRE', c.m, ahead + 1000)
      end
    elseif c.is_sweep then redis.call('ZREM', c.d, c.tag) end
  else
    local is_longer = s.last > s.til or c.is_bare
    if is_longer then s.til = s.last + SLACK_MS end
    if s.due ~= s.told then
      redis.call('ZADD', c.d, s.due, c.tag)
      s.told = s.due
    end
    if not s.revoked then void(c) end
    local raw = cmsgpack.pack({ s.serial, s.messages, s.data, s.bytes[1], s.bytes[2], s.kept[1], s.kept[2], s.boxes,
      s.numbers, s.freed, s.due, s.last, s.til, s.told, s.revoked })
    local fields = c.fields or {}
    if raw ~= c.raw then
      fields[#fields + 1] = ''
      fields[#fields + 1] = raw
    end
    for name, box in pairs(c.boxes) do
      if box and box.dirty then
        fields[#fields + 1] = 'b' .. name
        fields[#fields + 1] = cmsgpack.pack({ box.number, box.bytes[1], box.bytes[2], box.larges[1], box.larges[2],
          box.smalls[1], box.smalls[2], box.oldest[1], box.oldest[2], box.kept, box.kept_size, box.kept_shelf,
          box.kept_serial, box.twins })
      end
    end
    if c.has_freed then
      fields[#fields + 1] = 'f'
      fields[#fields + 1] = c.free
    end
    if #fields > 0 then redis.call('HSET', c.m, unpack(fields)) end
    if is_longer then
      -- A safety net: should no node be left to purge, Redis forgets the recipient as a whole.
      for _, key in ipairs({ c.m, c.z }) do redis.call('PEXPIRE', key, num(s.til - c.now)) end
      for _, key in ipairs({ c.c, c.d }) do redis.call('PEXPIRE', key, num(c.lifetime + 2 * SLACK_MS)) end
    end
  end
  local recipients = (s.messages > 0 and 1 or 0) - (c.was_messages > 0 and 1 or 0)
  local messages, data = s.messages - c.was_messages, s.data - c.was_data
  count_up(c, 'm', messages, data)
  count_up(c, 'b', c.new_boxes, recipients)
  if #c.news > 0 then redis.call('SPUBLISH', c.channel, c.origin .. table.concat(c.news)) end
  return { messages, data, c.new_boxes, recipients, c.pushed_out, c.ended }
end

local FIRST, ARGUMENTS = 11, { p = 8, r = 4, c = 4, l = 1, n = 3, v = 2 }

local VOIDABLE = { p = true, r = true, c = true }

-- KEYS m z c d r v; ARGV now tag channel origin box recipient strangerBox strangers boxes lifetime, then the operations.
-- The answer: what changed, then an answer for each operation, or none where the purge is not through.
local function run(keys, args)
  local c = { m = keys[1], z = keys[2], c = keys[3], d = keys[4], r = keys[5], v = keys[6], now = tonumber(args[1]), tag = args[2],
    channel = args[3], origin = args[4], box_limits = { tonumber(args[5]), tonumber(args[7]) },
    limits = { tonumber(args[6]), tonumber(args[8]) }, max_boxes = tonumber(args[9]), lifetime = tonumber(args[10]),
    boxes = {}, numbers = {}, news = {}, new_boxes = 0, pushed_out = 0, ended = 0 }
  local wanted, at = {}, FIRST
  c.is_sweep = args[at] == nil
  while args[at] do
    if args[at] ~= 'l' and args[at] ~= 'v' then wanted[#wanted + 1] = 'b' .. args[at + 1] end
    at = at + ARGUMENTS[args[at]]
  end
  -- A put alone, as most calls are: see at once whether the message is there.
  c.peeks = args[FIRST] == 'p' and #wanted == 1
  if c.peeks then wanted[2] = args[FIRST + 2] end
  load(c, wanted)
  c.was_messages, c.was_data = c.s.messages, c.s.data
  local is_purged = purge(c)
  local answers = { false }
  at = FIRST
  while is_purged and args[at] do
    local kind, answer = args[at], nil
    c.is_last = args[at + ARGUMENTS[kind]] == nil
    local is_free = not VOIDABLE[kind] or not is_void(c, args[at + ARGUMENTS[kind] - 1])
    if kind == 'p' then
      answer = is_free and put(c, args[at + 1], args[at + 2], args[at + 3], tonumber(args[at + 4]), tonumber(args[at + 5]),
        args[at + 6] == '1') or 0
    elseif kind == 'r' then answer = is_free and remove(c, args[at + 1], args[at + 2]) or 1
    elseif kind == 'c' then answer = is_free and clear(c, args[at + 1], args[at + 2]) or ''
    elseif kind == 'v' then answer = revoke(c, args[at + 1])
    elseif kind == 'l' then answer = list(c)
    else answer = read(c, args[at + 1], tonumber(args[at + 2])) end
    answers[#answers + 1] = answer
    at = at + ARGUMENTS[kind]
  end
  answers[1] = save(c)
  return answers
end

-- ARGV now limit, then the two book keys of each slot. The answer: what the book of each slot counts, and the tags of at most
-- so many recipients of which something has ended.
local function survey(_, args)
  local now, limit, counts, due = args[1], tonumber(args[2]), {}, {}
  for i = 3, #args, 2 do
    -- Another node's slot is an error. Without recipients there is nothing, whatever the books say.
    local held = redis.pcall('ZCARD', args[i + 1])
    counts[#counts + 1] = {}
    if type(held) == 'number' and held > 0 then
      counts[#counts] = redis.call('HMGET', args[i], 'm', 'b')
      if #due < limit then
        local tags = redis.call('ZRANGEBYSCORE', args[i + 1], '-inf', now, 'LIMIT', 0, limit - #due)
        for _, tag in ipairs(tags) do due[#due + 1] = tag end
      end
    end
  end
  return { counts, due }
end
`;

/** A name that follows from the text, so that nodes of two versions may share a cluster while they are replaced. */
const VERSION = createHash("sha256").update(LUA).digest("hex").slice(0, 12);
export const LIBRARY: string = `restante_boxes_${VERSION}`;

/** The functions, by what they are for. `put` is the one that a server without memory to spare refuses. */
export const FUNCTIONS = {
  put: `${LIBRARY}_put`,
  other: `${LIBRARY}_other`,
  survey: `${LIBRARY}_survey`,
} as const;

/** What FUNCTION LOAD takes. */
export const LIBRARY_CODE: string = `#!lua name=${LIBRARY}
${LUA}
redis.register_function('${FUNCTIONS.put}', run)
redis.register_function{ function_name = '${FUNCTIONS.other}', callback = run, flags = { 'allow-oom' } }
redis.register_function{ function_name = '${FUNCTIONS.survey}', callback = survey, flags = { 'no-writes', 'allow-cross-slot-keys' } }
`;
