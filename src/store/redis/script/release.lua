local held = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'nonce', 'node', 'instance', 'trying')
redis.call('HSET', KEYS[1], 'attempts', 0)
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
