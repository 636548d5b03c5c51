local stored = redis.call('HGET', KEYS[1], ARGV[1])
if ((stored and stored:match('^%d+')) or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], ARGV[4], ARGV[5]) end
return 1
