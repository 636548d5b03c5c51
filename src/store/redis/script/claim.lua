local time = redis.call('TIME')
local held = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'node', 'instance', 'beat', 'commit', 'checkpoint', 'last', 'from', 'attempts', 'trying', 'primary', 'reindex', 'partitions', 'lists')
if ARGV[5] == '' then
  if held[2] then return redis.error_reply('FENCED it is held') end
elseif not (held[1] == ARGV[5] and held[2] == ARGV[6] and held[3] == ARGV[7] and held[4] == ARGV[8] and held[5] == ARGV[9]) then
  return redis.error_reply('FENCED the record is another one by now')
end
if held[14] and held[14] ~= ARGV[11] then return redis.error_reply('TAMPERED the partition is of a store of ' .. held[14] .. ' partitions, not ' .. ARGV[11]) end
local checkpoint = held[7] or '0-0'
if not checkpoint:match('^%d+%-%d+$') then return redis.error_reply('TAMPERED the checkpoint in the lease is no place in a log') end
-- Whatever is not of its kind says so before anything is written.
for _, stream in ipairs({ KEYS[2], KEYS[3], KEYS[4] }) do redis.call('XLEN', stream) end
local rows = redis.call('HLEN', KEYS[5])
local settings = redis.call('HGETALL', KEYS[6])
for i = 7, 9 do redis.call('ZCARD', KEYS[i]) end
local listed = redis.call('ZCARD', KEYS[12])
for i = 10, 11 do redis.call('HLEN', KEYS[i]) end
local missing, is = {}, {}
for i, key in ipairs(KEYS) do
  is[i] = redis.call('EXISTS', key) == 1
  if not is[i] then missing[#missing + 1] = i end
end
-- Behind the last id there can be, which somebody else gave out, nothing comes: asked for, that is an error.
local behind = checkpoint ~= '18446744073709551615-18446744073709551615' and #redis.call('XRANGE', KEYS[2], '(' .. checkpoint, '+', 'COUNT', 1) > 0
local epoch = string.format('%.0f', (tonumber(held[1]) or 0) + 1)
local attempts = behind and (tonumber(held[10]) or 0) + 1 or 0
local last, from = tonumber(held[8]) or 0, tonumber(held[9]) or 1
if held[12] and held[12] ~= ARGV[4] then
  -- By the clock, and not so many further on: this primary may never have heard of the one before it, nor what that skipped.
  -- Above what the claimer has heard all the same: that clock may have been wrong.
  local step = tonumber(ARGV[10])
  local told = last > 0 and not (from == last + 1 and last % step == 0)
  local above = math.floor(math.max(last, tonumber(ARGV[12])) / step) + 1
  local base = math.max(tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), above) * step
  last = told and base + 1 or base
  from = last + 1
end
if is[3] then
  -- Numbers go on behind whatever is there, be it somebody else's: a stream takes nothing below its last id.
  local info = redis.call('XINFO', 'STREAM', KEYS[3])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local top = tonumber((info[i + 1]:match('^%d+')))
      if top > 2 ^ 52 then return redis.error_reply('TAMPERED the notifications hold an id too high to go on from: delete it') end
      if top > last then last, from = top, top + 1 end
    end
  end
end
last, from = string.format('%.0f', last), string.format('%.0f', from)
-- An index that was lost is made anew from the rows; one without rows is good for nothing.
local reindex = held[13] or (is[5] and not is[7] and rows > 1 and '1') or ''

-- Lists that the last commit did not call whole, and those that somebody deleted, or whose rows or whose word for it, are not.
local whole
if (held[6] or '0') == '0' then whole = rows <= 1 and listed <= 1 else whole = held[15] == held[6] and is[12] and is[5] end

redis.call('HDEL', KEYS[1], '-') -- allowed when memory is full, and with it what follows
redis.call('HSET', KEYS[1], 'epoch', epoch, 'nonce', ARGV[1], 'node', ARGV[2], 'instance', ARGV[3], 'primary', ARGV[4],
  'beat', '0', 'attempts', attempts, 'checkpoint', checkpoint, 'last', last, 'from', from, 'commit', held[6] or '0', 'partitions', ARGV[11])
if not whole then redis.call('HSET', KEYS[1], 'lists', '') end
if reindex ~= '' then redis.call('HSET', KEYS[1], 'reindex', reindex) end
for i = 2, 4 do
  if not is[i] then
    redis.call('XADD', KEYS[i], '0-1', 'new', '')
    redis.call('XDEL', KEYS[i], '0-1')
  end
end
if not is[5] then redis.call('DEL', KEYS[7]) end
if not is[5] then redis.call('HSET', KEYS[5], '', '') end
if not is[6] then redis.call('HSET', KEYS[6], '', '') end
if not (is[5] and is[7]) then redis.call('ZADD', KEYS[7], '+inf', '') end
if not is[8] then redis.call('ZADD', KEYS[8], 0, '') end
if not is[9] then redis.call('ZADD', KEYS[9], '-inf', '') end
for i = 10, 11 do
  if not is[i] then redis.call('HSET', KEYS[i], '', '') end
end
if not is[12] then redis.call('ZADD', KEYS[12], 0, '') end
return { epoch, held[6] or '0', checkpoint, last, from, attempts, held[11] or '', settings, reindex, missing, whole and 1 or 0, listed }
