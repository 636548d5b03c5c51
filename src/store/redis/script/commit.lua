-- Keys and arguments, by name: in the order of `key_list` and `arguments` in commit.rs.
local lease, states, deadlines, events, notifications, settings, dead, letters, marks, rollups, texts, lists = unpack(KEYS)
local epoch, nonce, based_on, commit, checkpoint, not_before, trying, trim_below, first_told, last_told = unpack(ARGV, 1, 10)
local keep_log, channel, hint, lists_now = unpack(ARGV, 11, 14)
-- How many of each follow, from FIRST on and in this order.
local FIRST = 30
local function count(nth) return tonumber(ARGV[14 + nth]) end
local told, rows_put, rows_removed, deadlines_put, deadlines_removed = count(1), count(2), count(3), count(4), count(5)
local settings_put, rollups_put, rollups_removed, texts_put, texts_removed = count(6), count(7), count(8), count(9), count(10)
local lists_removed, lists_added, letters_removed, letters_added, marks_put = count(11), count(12), count(13), count(14), count(15)

local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', lease, 'epoch', 'nonce', 'commit', 'checkpoint', 'last', 'beat')
if held[1] ~= epoch or held[2] ~= nonce then return redis.error_reply('FENCED another owner') end
if held[3] ~= based_on then return redis.error_reply('REFUSED the batch does not build on the last commit') end
local function place(id)
  return id:match('^(%d+)-(%d+)$')
end
-- Numbers as text: beyond 2^53 Lua cannot tell one from the next.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function before(a_ms, a_seq, b_ms, b_seq)
  return less(a_ms, b_ms) or (a_ms == b_ms and less(a_seq, b_seq))
end
local function last_id(stream)
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return place(info[i + 1]) end
  end
end
local ms, seq = place(checkpoint)
local stored_ms, stored_seq = place(held[4] or '')
local beat = tonumber(held[6])
if not (stored_ms and tonumber(held[5]) and beat) then return redis.error_reply('TAMPERED the lease record is not as it was written') end
local onward = before(stored_ms, stored_seq, ms, seq)
if not onward and checkpoint ~= held[4] then
  return redis.error_reply('REFUSED the checkpoint would go back from ' .. held[4])
end
if redis.call('EXISTS', unpack(KEYS)) < #KEYS then
  return redis.error_reply('TAMPERED a key of the partition is gone; the next claim makes it anew')
end
local number = tonumber(first_told)
local last = held[5]
if first_told ~= '' then
  if first_told == 'gap' or number ~= tonumber(last) + 1 then
    return redis.error_reply('REFUSED notifications do not go on without a gap from ' .. last)
  end
  local top_ms, top_seq = last_id(notifications)
  if not before(top_ms, top_seq, first_told, '0') then
    return redis.error_reply('TAMPERED notifications were written that are none of ours; the next claim numbers on behind them')
  end
  last = last_told
end
-- Whatever is not of its kind says so before anything is written.
redis.call('HLEN', states)
redis.call('ZCARD', deadlines)
redis.call('XLEN', notifications)
redis.call('HLEN', settings)
redis.call('XLEN', dead)
redis.call('ZCARD', letters)
redis.call('ZCARD', marks)
redis.call('HLEN', rollups)
redis.call('HLEN', texts)
redis.call('ZCARD', lists)
local generated
if not_before ~= '' then
  local due = tonumber(not_before)
  if clock <= due then return redis.error_reply('REFUSED the clock is not past the deadline') end
  local after = checkpoint == '18446744073709551615-18446744073709551615' and {} or redis.call('XRANGE', events, '(' .. checkpoint, '+', 'COUNT', 1000)
  for _, entry in ipairs(after) do
    local accepted = tonumber((entry[1]:match('^%d+')))
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'at' then accepted = math.min(accepted, tonumber(fields[i + 1]) or 0) end
    end
    if accepted <= due then return redis.error_reply('REFUSED an entry accepted in time is not applied') end
  end
  if #after == 1000 then return redis.error_reply('REFUSED the log is too far ahead to be compared with') end
  generated = tonumber((last_id(events)))
else
  redis.call('XLEN', events)
end
if letters_added > 0 and last_id(dead) == '18446744073709551615' then
  return redis.error_reply('TAMPERED the dead letters hold the highest id there is: delete it')
end

-- From here on nothing can fail. Room is made first: without a shebang a full memory is judged by the first write.
redis.call('XTRIM', notifications, 'MINID', trim_below)
local at = FIRST
-- The next values, as many at a time as a call takes.
local function chunks(how_many, width, write)
  local values = how_many * width
  local from = at
  at = at + values
  while values > 0 do
    local take = math.min(values, 3996)
    write(from, from + take - 1)
    from = from + take
    values = values - take
  end
end
for i = 0, told - 1 do
  redis.call('XADD', notifications, string.format('%.0f-0', number + i), 'ct', 'application/cloudevents+json', 'ce', ARGV[at + 2 * i], 'r', ARGV[at + 2 * i + 1])
end
at = at + 2 * told
if told > 0 and tonumber((trim_below:match('^%d+'))) > number then redis.call('XTRIM', notifications, 'MINID', trim_below) end
chunks(rows_put, 2, function(from, to) redis.call('HSET', states, unpack(ARGV, from, to)) end)
chunks(rows_removed, 1, function(from, to) redis.call('HDEL', states, unpack(ARGV, from, to)) end)
chunks(deadlines_put, 2, function(from, to) redis.call('ZADD', deadlines, unpack(ARGV, from, to)) end)
chunks(deadlines_removed, 1, function(from, to) redis.call('ZREM', deadlines, unpack(ARGV, from, to)) end)
chunks(settings_put, 2, function(from, to) redis.call('HSET', settings, unpack(ARGV, from, to)) end)
chunks(rollups_put, 2, function(from, to) redis.call('HSET', rollups, unpack(ARGV, from, to)) end)
chunks(rollups_removed, 1, function(from, to) redis.call('HDEL', rollups, unpack(ARGV, from, to)) end)
chunks(texts_put, 2, function(from, to) redis.call('HSET', texts, unpack(ARGV, from, to)) end)
chunks(texts_removed, 1, function(from, to) redis.call('HDEL', texts, unpack(ARGV, from, to)) end)
-- Behind the one without a name, which stays.
if lists_now ~= '' and lists_now ~= 'whole' then redis.call('ZREMRANGEBYRANK', lists, 1, lists_now) end
chunks(lists_removed, 1, function(from, to) redis.call('ZREM', lists, unpack(ARGV, from, to)) end)
chunks(lists_added, 2, function(from, to) redis.call('ZADD', lists, unpack(ARGV, from, to)) end)
local function unletter(id)
  local found = redis.call('ZRANGEBYLEX', letters, '[' .. id .. '/', '(' .. id .. '0')
  for _, member in ipairs(found) do
    redis.pcall('XDEL', dead, member:sub(#id + 2)) -- no id where somebody else wrote the member
    redis.call('ZREM', letters, member)
  end
end
for i = 0, letters_removed - 1 do unletter(ARGV[at + i]) end
at = at + letters_removed
for i = 0, letters_added - 1 do
  local id, entry_id, reason, record = unpack(ARGV, at + 4 * i, at + 4 * i + 3)
  unletter(id)
  local entry = redis.call('XADD', dead, '*', 'id', entry_id, 'reason', reason, 'r', record)
  redis.call('ZADD', letters, 0, id .. '/' .. entry)
end
at = at + 4 * letters_added
if marks_put > 0 then
  chunks(marks_put, 2, function(from, to) redis.call('ZADD', marks, unpack(ARGV, from, to)) end)
  redis.call('ZREMRANGEBYRANK', marks, 1, -2001)
end
if onward and keep_log == '' then
  redis.call('XTRIM', events, 'MINID', checkpoint)
  redis.call('XDEL', events, checkpoint)
end
if onward and redis.call('XLEN', events) == 0 then
  -- What comes next must come after the checkpoint, also where that is ahead of the log.
  local last_ms, last_seq = last_id(events)
  if before(last_ms, last_seq, ms, seq) then redis.call('XSETID', events, checkpoint) end
end
-- Nothing is accepted at or before the deadline any more, should the clock step back.
if generated and clock > generated and clock > tonumber(ms) then
  redis.call('XSETID', events, string.format('%.0f-18446744073709551615', clock - 1))
end
local write = { 'commit', commit, 'checkpoint', checkpoint, 'last', last, 'beat', string.format('%.0f', beat + 1), 'trying', trying }
if lists_now == 'whole' then
  write[#write + 1] = 'lists'
  write[#write + 1] = commit
end
if onward then
  write[#write + 1] = 'attempts'
  write[#write + 1] = '0'
end
redis.call('HSET', lease, unpack(write))
if told > 0 and channel ~= '' then redis.pcall('PUBLISH', channel, hint) end
return last
