local held = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return redis.error_reply('FENCED another owner') end
redis.call('HDEL', KEYS[1], '-') -- allowed when memory is full, and with it what follows
return redis.call('HINCRBY', KEYS[1], 'beat', 1)
