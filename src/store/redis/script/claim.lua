local held = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'node', 'instance', 'beat', 'commit', 'checkpoint', 'last', 'from', 'attempts', 'trying', 'primary')
if ARGV[5] == '' then
  if held[2] then return redis.error_reply('FENCED it is held') end
elseif not (held[1] == ARGV[5] and held[2] == ARGV[6] and held[3] == ARGV[7] and held[4] == ARGV[8] and held[5] == ARGV[9]) then
  return redis.error_reply('FENCED the record is another one by now')
end
local checkpoint = held[7] or '0-0'
local behind = #redis.call('XRANGE', KEYS[2], '(' .. checkpoint, '+', 'COUNT', 1) > 0
local epoch = string.format('%.0f', (tonumber(held[1]) or 0) + 1)
local attempts = behind and (tonumber(held[10]) or 0) + 1 or 0
local last, from = held[8] or '0', held[9] or '1'
if held[12] and held[12] ~= ARGV[4] then
  last = string.format('%.0f', tonumber(last) + tonumber(ARGV[10]))
  from = string.format('%.0f', tonumber(last) + 1)
end
redis.call('HDEL', KEYS[1], '-') -- allowed when memory is full, and with it what follows
redis.call('HSET', KEYS[1], 'epoch', epoch, 'nonce', ARGV[1], 'node', ARGV[2], 'instance', ARGV[3], 'primary', ARGV[4],
  'beat', '0', 'attempts', attempts, 'checkpoint', checkpoint, 'last', last, 'from', from, 'commit', held[6] or '0')
if redis.call('EXISTS', unpack(KEYS, 2)) < #KEYS - 1 then
  for _, stream in ipairs({ KEYS[2], KEYS[3], KEYS[4] }) do
    if redis.call('EXISTS', stream) == 0 then
      redis.call('XADD', stream, '0-1', 'new', '')
      redis.call('XDEL', stream, '0-1')
      redis.call('XTRIM', stream, 'MAXLEN', 0)
    end
  end
  redis.call('HSET', KEYS[5], '', '')
  redis.call('HSET', KEYS[6], '', '')
  redis.call('ZADD', KEYS[7], '+inf', '')
  redis.call('ZADD', KEYS[8], 0, '')
  redis.call('ZADD', KEYS[9], '-inf', '')
end
return { epoch, held[6] or '0', checkpoint, last, from, attempts, held[11] or '', redis.call('HGETALL', KEYS[6]) }
