local field = 'node/' .. ARGV[1]
local stored = redis.call('HGET', KEYS[1], field)
if not stored or stored:match('^(%x+) ') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], field, 'drain/' .. ARGV[1], 'pulse/' .. ARGV[1])
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
