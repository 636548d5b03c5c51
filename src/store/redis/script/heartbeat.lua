local field = 'node/' .. ARGV[1]
local pulse = 'pulse/' .. ARGV[1]
local kept = tonumber(redis.call('HGET', KEYS[1], pulse)) or 0
if ARGV[7] ~= '' and tonumber(ARGV[7]) - kept > tonumber(ARGV[8]) then return { 2, kept } end
local stored = redis.call('HGET', KEYS[1], field)
local instance = stored and stored:match('^(%x+) ')
if instance and instance ~= ARGV[2] and instance ~= ARGV[3] and ARGV[3] ~= '*' then return { 0, kept } end
local time = redis.call('TIME')
local now = math.max(time[1] * 1000 + math.floor(time[2] / 1000), kept)
redis.call('HDEL', KEYS[1], '-') -- allowed when memory is full, and with it what follows
redis.call('HSET', KEYS[1], field, ARGV[2] .. ' ' .. ARGV[4], pulse, string.format('%.0f', now))
if instance ~= ARGV[2] then
  redis.call('HDEL', KEYS[1], 'drain/' .. ARGV[1])
  redis.pcall('PUBLISH', ARGV[5], ARGV[6])
end
return { 1, now }
