local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'commit', 'checkpoint', 'last', 'beat')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return redis.error_reply('FENCED another owner') end
if held[3] ~= ARGV[3] then return redis.error_reply('REFUSED the batch does not build on the last commit') end
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
local ms, seq = place(ARGV[5])
local stored_ms, stored_seq = place(held[4] or '')
local beat = tonumber(held[6])
if not (stored_ms and tonumber(held[5]) and beat) then return redis.error_reply('TAMPERED the lease record is not as it was written') end
local onward = before(stored_ms, stored_seq, ms, seq)
if not onward and ARGV[5] ~= held[4] then
  return redis.error_reply('REFUSED the checkpoint would go back from ' .. held[4])
end
if redis.call('EXISTS', unpack(KEYS)) < #KEYS then
  return redis.error_reply('TAMPERED a key of the partition is gone; the next claim makes it anew')
end
local n, number = tonumber(ARGV[15]), tonumber(ARGV[9])
local last = held[5]
if ARGV[9] ~= '' then
  if ARGV[9] == 'gap' or number ~= tonumber(last) + 1 then
    return redis.error_reply('REFUSED notifications do not go on without a gap from ' .. last)
  end
  local top_ms, top_seq = last_id(KEYS[5])
  if not before(top_ms, top_seq, ARGV[9], '0') then
    return redis.error_reply('TAMPERED notifications were written that are none of ours; the next claim numbers on behind them')
  end
  last = ARGV[10]
end
-- Whatever is not of its kind says so before anything is written.
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
redis.call('XLEN', KEYS[5])
redis.call('HLEN', KEYS[6])
redis.call('XLEN', KEYS[7])
redis.call('ZCARD', KEYS[8])
redis.call('ZCARD', KEYS[9])
redis.call('HLEN', KEYS[10])
redis.call('HLEN', KEYS[11])
redis.call('ZCARD', KEYS[12])
local generated
if ARGV[6] ~= '' then
  local due = tonumber(ARGV[6])
  if clock <= due then return redis.error_reply('REFUSED the clock is not past the deadline') end
  local after = ARGV[5] == '18446744073709551615-18446744073709551615' and {} or redis.call('XRANGE', KEYS[4], '(' .. ARGV[5], '+', 'COUNT', 1000)
  for _, entry in ipairs(after) do
    local accepted = tonumber((entry[1]:match('^%d+')))
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'at' then accepted = math.min(accepted, tonumber(fields[i + 1]) or 0) end
    end
    if accepted <= due then return redis.error_reply('REFUSED an entry accepted in time is not applied') end
  end
  if #after == 1000 then return redis.error_reply('REFUSED the log is too far ahead to be compared with') end
  generated = tonumber((last_id(KEYS[4])))
else
  redis.call('XLEN', KEYS[4])
end
local letters = 28 + 2 * (n + tonumber(ARGV[11]) + tonumber(ARGV[13]) + tonumber(ARGV[16]) + tonumber(ARGV[21]) + tonumber(ARGV[23]) + tonumber(ARGV[26]))
  + tonumber(ARGV[12]) + tonumber(ARGV[14]) + tonumber(ARGV[22]) + tonumber(ARGV[24]) + tonumber(ARGV[27])
local removed = tonumber(ARGV[letters])
local added = tonumber(ARGV[letters + removed + 1])
if added > 0 and last_id(KEYS[7]) == '18446744073709551615' then
  return redis.error_reply('TAMPERED the dead letters hold the highest id there is: delete it')
end

-- From here on nothing can fail. Room is made first: without a shebang a full memory is judged by the first write.
redis.call('XTRIM', KEYS[5], 'MINID', ARGV[8])
local at = 28
local function chunks(count, width, write)
  local values = count * width
  local from = at
  at = at + values
  while values > 0 do
    local take = math.min(values, 3996)
    write(from, from + take - 1)
    from = from + take
    values = values - take
  end
end
for i = 0, n - 1 do
  redis.call('XADD', KEYS[5], string.format('%.0f-0', number + i), 'ct', 'application/cloudevents+json', 'ce', ARGV[at + 2 * i], 'r', ARGV[at + 2 * i + 1])
end
at = at + 2 * n
if n > 0 and tonumber((ARGV[8]:match('^%d+'))) > number then redis.call('XTRIM', KEYS[5], 'MINID', ARGV[8]) end
chunks(tonumber(ARGV[11]), 2, function(from, to) redis.call('HSET', KEYS[2], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[12]), 1, function(from, to) redis.call('HDEL', KEYS[2], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[13]), 2, function(from, to) redis.call('ZADD', KEYS[3], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[14]), 1, function(from, to) redis.call('ZREM', KEYS[3], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[16]), 2, function(from, to) redis.call('HSET', KEYS[6], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[21]), 2, function(from, to) redis.call('HSET', KEYS[10], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[22]), 1, function(from, to) redis.call('HDEL', KEYS[10], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[23]), 2, function(from, to) redis.call('HSET', KEYS[11], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[24]), 1, function(from, to) redis.call('HDEL', KEYS[11], unpack(ARGV, from, to)) end)
-- Behind the one without a name, which stays.
if ARGV[25] ~= '' and ARGV[25] ~= 'whole' then redis.call('ZREMRANGEBYRANK', KEYS[12], 1, ARGV[25]) end
chunks(tonumber(ARGV[27]), 1, function(from, to) redis.call('ZREM', KEYS[12], unpack(ARGV, from, to)) end)
chunks(tonumber(ARGV[26]), 2, function(from, to) redis.call('ZADD', KEYS[12], unpack(ARGV, from, to)) end)
-- Letters: how many, then what is removed, then what is added.
local function unletter(id)
  local found = redis.call('ZRANGEBYLEX', KEYS[8], '[' .. id .. '/', '(' .. id .. '0')
  for _, member in ipairs(found) do
    redis.pcall('XDEL', KEYS[7], member:sub(#id + 2)) -- no id where somebody else wrote the member
    redis.call('ZREM', KEYS[8], member)
  end
end
for i = 1, removed do unletter(ARGV[at + i]) end
at = at + removed + 1
for i = 0, added - 1 do
  local id = ARGV[at + 1 + 4 * i]
  unletter(id)
  local entry = redis.call('XADD', KEYS[7], '*', 'id', ARGV[at + 2 + 4 * i], 'reason', ARGV[at + 3 + 4 * i], 'r', ARGV[at + 4 + 4 * i])
  redis.call('ZADD', KEYS[8], 0, id .. '/' .. entry)
end
at = at + 1 + 4 * added
local marks = tonumber(ARGV[17])
if marks > 0 then
  chunks(marks, 2, function(from, to) redis.call('ZADD', KEYS[9], unpack(ARGV, from, to)) end)
  redis.call('ZREMRANGEBYRANK', KEYS[9], 1, -2001)
end
if onward and ARGV[18] == '' then
  redis.call('XTRIM', KEYS[4], 'MINID', ARGV[5])
  redis.call('XDEL', KEYS[4], ARGV[5])
end
if onward and redis.call('XLEN', KEYS[4]) == 0 then
  -- What comes next must come after the checkpoint, also where that is ahead of the log.
  local last_ms, last_seq = last_id(KEYS[4])
  if before(last_ms, last_seq, ms, seq) then redis.call('XSETID', KEYS[4], ARGV[5]) end
end
-- Nothing is accepted at or before the deadline any more, should the clock step back.
if generated and clock > generated and clock > tonumber(ms) then
  redis.call('XSETID', KEYS[4], string.format('%.0f-18446744073709551615', clock - 1))
end
local write = { 'commit', ARGV[4], 'checkpoint', ARGV[5], 'last', last, 'beat', string.format('%.0f', beat + 1), 'trying', ARGV[7] }
if ARGV[25] == 'whole' then
  write[#write + 1] = 'lists'
  write[#write + 1] = ARGV[4]
end
if onward then
  write[#write + 1] = 'attempts'
  write[#write + 1] = '0'
end
redis.call('HSET', KEYS[1], unpack(write))
if n > 0 and ARGV[19] ~= '' then redis.pcall('PUBLISH', ARGV[19], ARGV[20]) end
return last
