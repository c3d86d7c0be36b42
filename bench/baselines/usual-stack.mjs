import express from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { DataTypes, Op, Sequelize } from 'sequelize';
import { settings } from './settings.mjs';

// The same packages as their documentation shows them: models, passport-jwt with a secret that is a string, and the admin of
// the token looked up at each request. No log or limits.

const sequelize = new Sequelize(settings.postgresUrl, { logging: false, pool: { max: 10 } });
const columns = { underscored: true, createdAt: 'created_at', updatedAt: 'updated_at' };
const Admin = sequelize.define('admin', { email: DataTypes.TEXT, name: DataTypes.TEXT }, columns);
const User = sequelize.define(
  'user',
  {
    email: DataTypes.TEXT,
    emailCanonical: DataTypes.TEXT,
    name: DataTypes.TEXT,
    active: { type: DataTypes.BOOLEAN, defaultValue: true },
  },
  columns,
);
Admin.hasMany(User);
User.belongsTo(Admin);

passport.use(
  new Strategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: settings.secret,
      algorithms: ['HS256'],
    },
    ({ sub }, done) => {
      Admin.findByPk(sub).then(
        (admin) => done(null, admin ?? false),
        (/** @type {unknown} */ error) => done(error, false),
      );
    },
  ),
);

const app = express();
app.use(passport.initialize());
const authenticated = passport.authenticate('jwt', { session: false });

app.get('/health/live', (_req, res) => {
  res.json({ status: 'ok' });
});

app.get('/users/:id', authenticated, async (req, res) => {
  const user = await User.findOne({ where: { id: req.params.id, adminId: req.user.id } });
  if (user === null) res.status(404).json({ error: 'not found' });
  else res.json(user);
});

app.get('/users', authenticated, async (req, res) => {
  const { after, limit } = req.query;
  const where = { adminId: req.user.id, id: { [Op.gt]: after } };
  res.json(await User.findAll({ where, order: [['id', 'ASC']], limit }));
});

app.post('/users', authenticated, express.json(), async (req, res) => {
  const { email, name } = req.body;
  const emailCanonical = email.toLowerCase();
  const user = await User.create({ email, emailCanonical, name, adminId: req.user.id });
  res.status(201).json(user);
});

app.listen(settings.port, settings.host);
