local field = 'node/' .. ARGV[1]
local stored = redis.call('HGET', KEYS[1], field)
local instance = stored and stored:match('^(%x+) ')
if instance and instance ~= ARGV[2] and instance ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[1], '-') -- allowed when memory is full, and with it what follows
redis.call('HSET', KEYS[1], field, ARGV[2] .. ' ' .. ARGV[4])
if instance ~= ARGV[2] then
  redis.call('HDEL', KEYS[1], 'drain/' .. ARGV[1])
  redis.pcall('PUBLISH', ARGV[5], ARGV[6])
end
return 1
